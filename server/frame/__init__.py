"""What every call has without its author doing anything, and what every module may build on."""
