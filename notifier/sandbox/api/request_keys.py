"""Notes: what is remembered of a request on its way through the server."""

from aiohttp import web

LOG_ID = web.RequestKey("LOG_ID", str)  # goes out as X-Tt-Logid
CODE = web.RequestKey("CODE", int)  # the code of the JSON answer
