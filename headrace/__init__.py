"""The spine that every room of Headrace shares: contracts, settings, the release bundle and the command line."""
