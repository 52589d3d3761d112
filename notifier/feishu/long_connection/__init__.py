"""Long connection: events over WebSocket, with the official SDK's client."""
