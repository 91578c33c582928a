/** The console's page: what whoever runs the server sees and changes, over the public contract alone. */
import { render } from "preact"
import { App } from "./App.tsx"

const root = document.getElementById("app")
if (root !== null) render(<App />, root)
