"""Where nothing but noise varies: the smooth patches of a stack."""
