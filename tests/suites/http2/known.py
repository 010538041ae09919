"""What deviates, and why it is left so. A case fails when it gives anything else, the right thing included."""

CODE_OF_SIZES = "h2 has one code for every frame that it cannot read"
CODE_OF_BLOCKS = "h2 has one code for every field block that it cannot read"
CODE_OF_STATES = "h2 takes a frame that its stream's state does not allow for a fault of the connection"
NO_FILTER = "the tap is no filter: the backend judges"

# What comes of it, why, and by which cases.
DEVIATIONS = [
    ("goes on", "h2 takes frames before SETTINGS, as the initial values allow", [
        "PING before SETTINGS", "HEADERS before SETTINGS",
    ]),
    ("connection PROTOCOL_ERROR", CODE_OF_SIZES, [
        "PRIORITY with 4 bytes", "PRIORITY with 6 bytes", "SETTINGS with 5 bytes", "SETTINGS with 7 bytes",
        "an acknowledgement with a payload", "PING with 7 bytes", "PING with 9 bytes", "an empty PING", "RST_STREAM with 3 bytes",
        "RST_STREAM with 5 bytes", "WINDOW_UPDATE with 3 bytes", "WINDOW_UPDATE with 5 bytes",
        "INITIAL_WINDOW_SIZE above its most",
    ]),
    ("connection PROTOCOL_ERROR", CODE_OF_BLOCKS, [
        "an entry larger than the table empties it", "the oldest entry is put out", "an index of 0", "an index behind the tables",
        "an index far behind the tables", "a name's index behind the tables", "a size update above the setting",
        "a size update behind a field", "a size update of 0 empties the table", "an integer without an end",
        "an integer beyond all numbers", "a string longer than the block", "a name without a value",
        "compressed padding of 8 bits", "compressed padding of zeros", "the end of string within a compressed string",
        "a block that is cut within a field",
    ]),
    ("goes on", "h2 reads each frame of a block by itself, and takes a size update at the start of each", [
        "a size update within a block in two frames",
    ]),
    ("connection PROTOCOL_ERROR", CODE_OF_STATES, [
        "DATA behind the end of the request", "HEADERS behind the end of the request", "HEADERS behind a reset",
        "DATA behind trailers",
    ]),
    ("answer 200", NO_FILTER, [
        "a value with a space before it", "a value with a space behind it", "a value with a tab before it", "an empty :scheme",
        ":authority with a user", "* of GET",
    ]),
    ("answer 200", "h2 leaves pseudo-headers out of trailers, so they reach nobody", [
        "a pseudo-header in trailers",
    ]),
    ("answer 200 interim=[]", "hyper has no interim answers over HTTP/2, so they end at the tap", [
        "an interim answer",
    ]),
]

# By the case's name and the upstream's version, or none where it is the same with both.
KNOWN = {(name, None): (outcome, reason) for outcome, reason, names in DEVIATIONS for name in names}
KNOWN["neither host nor :authority", "http1"] = ("answer 200", NO_FILTER)
