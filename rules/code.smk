# Hashes of the code and the package versions behind the scripts, which params of rules hold; no rule.
LIBRARY = Library(SCRIPTS)
PINS = code_hash.read_pins(*(ROOT / "envs").glob("*.lock"))


def code(name, *found):
    """Hash of the code and the package versions behind a script; see pivm.provenance.code_hash.

    `found` are modules, or (module, definition), that the script finds by name.
    """
    symbols = [(symbol, ALL) if isinstance(symbol, str) else symbol for symbol in found]
    return code_hash.code_hash(name, LIBRARY, PINS, symbols)


def implementation_of(generator, training=False):
    """(Module, class) of the kind of a generator, which is found by name; of what alone a training needs of it."""
    kind = pivm_config.kind_named(config, generator)
    return tuple(((training and kind.trainer) or kind.implementation).split(":"))


def generator_code(name, *found, training=False):
    """The same for a script that works with the generator of the wildcard, or trains it."""
    return lambda wildcards: code(name, implementation_of(wildcards.generator, training), *found)
