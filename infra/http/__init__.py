"""How both APIs stand in HTTP: the perimeter around them, how they refuse, and how they document themselves."""
