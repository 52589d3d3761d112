"""The checks of `notifier doctor`: the machine, the network, the app at Feishu, and what has arrived so far."""
