"""The only room that knows Feishu's JSON, its codes and its SDK. Importing it does not import the SDK."""
