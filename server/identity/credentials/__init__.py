"""What people and services prove who they are with, how it is made and checked, and what its holder may do now."""
