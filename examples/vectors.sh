#!/usr/bin/env bash
# Vectors with curl: `examples/vectors.sh http://localhost:6333`.
set -euo pipefail
url=${1:-http://localhost:6333}

send() { # method, path, body
  curl --silent --show-error --fail-with-body -X "$1" "$url$2" \
    -H 'content-type: application/json' -d "$3"
  echo
}

curl --silent -X DELETE "$url/collections/fruit" >/dev/null
send PUT /collections/fruit '{"vectors": {"size": 3, "distance": "Cosine"}}'
send PUT '/collections/fruit/points?wait=true' '{"points": [
  {"id": 1, "vector": [0.9, 0.1, 0.0], "payload": {"name": "apple"}},
  {"id": 2, "vector": [0.8, 0.3, 0.1], "payload": {"name": "pear"}},
  {"id": 3, "vector": [0.0, 0.2, 0.9], "payload": {"name": "plum"}}]}'
found=$(send POST /collections/fruit/points/query \
  '{"query": [1, 0.1, 0], "limit": 2, "with_payload": true}')
echo "$found"
[[ $found == *apple*pear* ]]
send POST /collections/fruit/points/delete '{"points": [1]}'
send POST /collections/fruit/points/count '{"exact": true}' | grep -q '"count":2'
