"""The networks and their bundled weights; nothing but `nn.Module`."""
