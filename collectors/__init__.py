"""What the plant says: each collector turns the words of a machine or link into samples and puts them."""
