"""What an agent and a centre have to survive, each told by an auditor that shares no code with them."""
