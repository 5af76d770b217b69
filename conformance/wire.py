"""What the official clients do not show: the paths of older clients, request and answer bodies
that are compressed or MessagePack, headers, refusals. Run as `python wire.py URL`.
"""

import gzip
import json
import time
import sys

import httpx
import msgpack
import requests

C = "/collections/wire"


class Api:
    def __init__(self, url):
        self.url, self.session = url, requests.Session()

    def __call__(self, method, path, body=None, status=200, **options):
        answer = self.session.request(method, self.url + path, json=body, timeout=30, **options)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        if status == 200:
            told = answer.json()
            assert told["status"] == "ok" and told["time"] >= 0, told
            return told["result"]
        told = answer.json()
        assert isinstance(told["status"]["error"], str), told
        return told["status"]["error"]


def filled(api):
    api("DELETE", C)
    api("PUT", C, {"vectors": {"size": 2, "distance": "Cosine"}})
    points = [{"id": n, "vector": [10 - n, n], "payload": {"half": n // 5}} for n in range(10)]
    api("PUT", f"{C}/points?wait=true&ordering=strong", {"points": points})


def older_paths(api):
    ids = lambda hits: [hit["id"] for hit in hits]
    body = {"vector": [1, 0], "limit": 2}
    assert ids(api("POST", f"{C}/points/search", body)) == [0, 1]
    [one] = api("POST", f"{C}/points/search/batch", {"searches": [body]})
    assert ids(one) == [0, 1]
    grouped = {"vector": [1, 0], "limit": 2, "group_by": "half", "group_size": 1}
    groups = api("POST", f"{C}/points/search/groups", grouped)["groups"]
    assert [group["id"] for group in groups] == [0, 1], groups
    body = {"positive": [0], "negative": [9], "limit": 2}
    assert ids(api("POST", f"{C}/points/recommend", body)) == [1, 2]
    [one] = api("POST", f"{C}/points/recommend/batch", {"searches": [body]})
    assert ids(one) == [1, 2]
    grouped = {"positive": [0], "limit": 1, "group_by": "half", "group_size": 2}
    groups = api("POST", f"{C}/points/recommend/groups", grouped)["groups"]
    assert ids(groups[0]["hits"]) == [1, 2], groups


def server_paths(api):
    for path in "/healthz", "/livez", "/readyz", "/metrics", "/docs":
        assert api.session.get(api.url + path, timeout=5).status_code == 200, path
    for path in "/cluster", f"{C}/cluster", "/telemetry", "/issues", f"{C}/exists", "/aliases":
        api("GET", path)
    version = api.session.get(api.url, timeout=5).json()
    assert version["version"].startswith("1."), version


def encodings(api):
    body = json.dumps({"query": [1, 0], "limit": 10, "with_payload": True}).encode()
    path = f"{api.url}{C}/points/query"
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    plain = api("POST", f"{C}/points/query", json.loads(body))
    packed = api.session.post(path, data=gzip.compress(body), headers=headers, timeout=5)
    assert packed.json()["result"] == plain, packed.text
    kind = "application/msgpack"
    headers = {"content-type": kind, "accept": kind}
    packed = msgpack.packb(json.loads(body))
    answer = api.session.post(path, data=packed, headers=headers, timeout=5)
    assert answer.headers["content-type"] == kind
    told = msgpack.unpackb(answer.content)["result"]
    # JSON has the shortest digits of a score, MessagePack its bits.
    for point in told["points"] + plain["points"]:
        point["score"] = round(point["score"], 5)
    assert told == plain, (told, plain)


def connections(api):
    """HTTP/2 from the first byte, as between servers, and one HTTP/1.1 connection for many requests."""
    with httpx.Client(http1=False, http2=True, trust_env=False) as client:
        body = {"query": [1, 0], "limit": 2}
        for _ in range(3):
            answer = client.post(f"{api.url}{C}/points/query", json=body)
            assert answer.http_version == "HTTP/2" and answer.status_code == 200, answer
        large = {"ids": list(range(10)) * 1000}
        answer = client.post(f"{api.url}{C}/points", json=large)
        assert len(answer.json()["result"]) == 10_000
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(3):
            assert session.get(f"{api.url}/livez", timeout=5).text == "alive"
        [pool] = session.get_adapter(api.url).poolmanager.pools._container.values()
        assert pool.num_connections == 1, pool.num_connections


def refusals(api):
    answer = api.session.post(api.url + C, timeout=5)
    assert answer.status_code == 405 and "GET" in answer.headers["allow"], answer.text
    api("GET", "/nowhere", status=404)
    api("POST", f"{C}/points/query", {"query": [1], "limit": 1}, status=400)
    said = api("POST", f"{C}/points/query", {"query": [1, 0], "colour": 1}, status=400)
    assert "colour" in said, said
    text = api.session.post(f"{api.url}{C}/points/query", data="x", timeout=5)
    assert text.status_code == 415, text.text
    named = {"x-request-id": "from-a-test"}
    assert api.session.get(api.url, headers=named, timeout=5).headers["x-request-id"] == "from-a-test"


def main(url):
    api = Api(url)
    # The face models may still be on their way.
    while api.session.get(f"{api.url}/readyz", timeout=5).status_code != 200:
        time.sleep(0.1)
    filled(api)
    for check in older_paths, server_paths, encodings, connections, refusals:
        check(api)
        print(f"wire: {check.__name__}: fine")


if __name__ == "__main__":
    main(sys.argv[1])
