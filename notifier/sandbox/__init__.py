"""The sandbox: a stand-in Feishu on loopback that speaks the real wire, for tests and for trying by hand.

It shares no code with the rooms it stands against, so a misreading of Feishu's rules cannot be on both sides.
"""
