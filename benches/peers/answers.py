"""The peer for answer files: a server of the shape that Python ones have (FastAPI on uvicorn): it parses what the
installer sends, finds the machine by its addresses, merges defaults with what is known of it, and renders TOML.
Nothing is made durable. Usage: answers.py PORT"""

import sys

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response

DEFAULTS = {
    "global": {
        "keyboard": "de",
        "country": "at",
        "timezone": "Europe/Vienna",
        "mailto": "root@bench.example",
        "root-password-hashed": "$6$0123456789abcdef$" + "x" * 86,
    },
    "network": {"source": "from-dhcp"},
    "disk-setup": {"filesystem": "ext4", "disk-list": ["sda"]},
}
HOSTS = {
    f"52:54:00:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}": {"global": {"fqdn": f"node-{n:05}.bench.example"}}
    for n in range(10000)
}
app = FastAPI(openapi_url=None)


def value(item):
    if isinstance(item, list):
        return "[" + ", ".join(value(one) for one in item) + "]"
    return '"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"'


@app.post("/answer")
async def answer(request: Request):
    facts = await request.json()
    for nic in facts.get("network_interfaces", []):
        host = HOSTS.get(nic["mac"].lower())
        if host is not None:
            break
    else:
        raise HTTPException(404, "unknown machine")
    lines = []
    for section, defaults in DEFAULTS.items():
        lines.append(f"[{section}]")
        merged = defaults | host.get(section, {})
        lines.extend(f"{key} = {value(item)}" for key, item in merged.items())
        lines.append("")
    return Response("\n".join(lines), media_type="application/toml")


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
