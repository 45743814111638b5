"""One rule family a module: texts in, canonical values and reason numbers out. ``transaction`` puts them together."""
