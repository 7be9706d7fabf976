"""Services, and the objects that say which pods are behind them."""
