import { assert, describe, it } from "@effect/vitest"
import { normalBaseUrl, reachOf, whyNotBaseUrl } from "../../src/config/baseUrl.ts"

describe("a base URL", () => {
  it.each([
    "https://api.example.com/v1",
    "https://api.example.com",
    "http://[::1]:8000/v1/",
    "http://ollama:11434/v1",
    "sandbox:/nvidia1/v1"
  ])("may be %s", (text) => assert.isUndefined(whyNotBaseUrl(text)))

  it.each([
    ["nowhere", "URL"],
    ["http://", "URL"],
    ["https://synthetic:synthetic@example.com/v1", "credentials"],
    ["https://synthetic@example.com/v1", "credentials"],
    ["https://example.com/v1?key=synthetic", "query"],
    ["https://example.com/v1?", "query"],
    ["https://example.com/v1#synthetic", "fragment"],
    ["https://example.com/v1/chat/completions", "/chat/completions"],
    ["https://example.com/v1/embeddings/", "/embeddings"],
    ["sandbox:", "sandbox:/"],
    ["sandbox:/", "sandbox:/"],
    ["sandbox:nvidia1", "sandbox:/"],
    ["sandbox://nvidia1/v1", "sandbox:/"]
  ])("may not be %s, and is not repeated", (text, why) => {
    const reason = whyNotBaseUrl(text) ?? ""
    assert.include(reason, why)
    assert.notInclude(reason, "synthetic")
  })

  it.each([
    ["https://api.example.com/v1//", "https://api.example.com/v1"],
    ["https://api.example.com/", "https://api.example.com"],
    ["http://EXAMPLE.com:80/V1/", "http://example.com/V1"],
    ["http://[::1]:8000/", "http://[::1]:8000"],
    ["sandbox:/nvidia1/v1/", "sandbox:/nvidia1/v1"]
  ])("%s is written %s", (text, normal) => assert.strictEqual(normalBaseUrl(text), normal))

  it.each([
    ["http://127.0.0.1/v1", "own"],
    ["http://127.8.9.10", "own"],
    ["http://0x7f.1", "own"],
    ["http://localhost:1234", "own"],
    ["http://[::1]/v1", "own"],
    ["sandbox:/zhipu/v1", "own"],
    ["http://10.1.2.3", "near"],
    ["http://172.16.0.1", "near"],
    ["http://172.31.255.255", "near"],
    ["http://192.168.1.1", "near"],
    ["http://169.254.1.1", "near"],
    ["http://100.64.0.1", "near"],
    ["http://100.127.0.1", "near"],
    ["http://[fd12:3456::1]", "near"],
    ["http://[fe80::1]", "near"],
    ["http://[febf::1]", "near"],
    ["http://[fec0::1]", "far"],
    ["http://ollama:11434", "near"],
    ["http://vllm.models.svc.cluster.local", "near"],
    ["http://nas.home.arpa", "near"],
    ["http://a.localhost", "near"],
    ["http://172.15.0.1", "far"],
    ["http://172.32.0.1", "far"],
    ["http://100.63.0.1", "far"],
    ["http://100.128.0.1", "far"],
    ["http://192.169.0.1", "far"],
    ["http://127.0.0.1.example.com", "far"],
    ["http://10.0.0.1.example.com", "far"],
    ["http://localhost.example.com", "far"],
    ["http://locallocal", "near"],
    ["http://notlocal.example", "far"],
    ["http://[fd1::1]", "far"],
    ["http://[2001:db8::1]", "far"],
    ["http://[::ffff:127.0.0.1]", "far"]
  ] as const)("%s is %s", (url, reach) => assert.strictEqual(reachOf(url), reach))
})
