"""What is up and what is seen: streams held open, keyframes looked at, sessions shared, reach told apart."""
