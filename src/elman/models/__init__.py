"""Networks: the layers one a file, and the classifier that is made of them."""
