"""The public interface: all that clients, operators and the platform's database see, held against a recorded state."""
