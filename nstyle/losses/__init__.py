"""The objective: its terms, and the gradient that a descent follows."""
