"""The calls that issue tokens: for the app, for an app of the app store, and for a person who logs in."""
