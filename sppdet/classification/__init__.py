"""Classification networks with spatial pyramid pooling: training, testing, prediction."""
