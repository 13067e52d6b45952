"""The server in the image that speaks the platform's HTTP API: `POST /init`, `POST /run`, port 8080.

It is shipped as a folder and started by path (`python3 /under48/runtime`), imports nothing from the rest of
the repository, and needs only Python 3.11's standard library. A cold start pays for every import, so it does
without `http.server` (44.7 ms for a process that imports it and what else is needed, 21.3 ms without),
`typing`, `dataclasses` and `pathlib`, and imports what only some requests need when they need it.
"""
