"""A trained model's predictions on the evaluation examples, and the metrics made from them."""
