"""Makes the HEIC and AVIF files in this folder.

    pip install pillow pillow_heif imagecodecs numpy && python make.py

Every picture has four quarters: red, green, blue and grey (left to right, top to bottom), so that
a test can see from the mean of a quarter whether colour, order and turning are right. Where the
file tells the reader to turn or crop, the stored picture is the one *before* that.
"""
import struct

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image

W, H = 64, 48
QUARTERS = [(200, 30, 30), (30, 180, 40), (20, 40, 190), (128, 128, 128)]


def quarters(width=W, height=H):
    picture = np.zeros((height, width, 3), np.uint8)
    half_w, half_h = width // 2, height // 2
    for i, colour in enumerate(QUARTERS):
        y, x = divmod(i, 2)
        picture[y * half_h:(y + 1) * half_h, x * half_w:(x + 1) * half_w] = colour
    return picture


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind, version, flags, *parts):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def walk(data, path):
    """The body of the first box at `path`."""
    for kind in path:
        at = 0
        while True:
            size, found = struct.unpack_from(">I4s", data, at)
            if found == kind:
                data = data[at + 8:at + size]
                if kind == b"meta":
                    data = data[4:]
                break
            at += size
    return data


def coded(avif):
    """The `av1C` box and the AV1 data of a file with one item."""
    av1c = box(b"av1C", walk(avif, [b"meta", b"iprp", b"ipco", b"av1C"]))
    return av1c, walk(avif, [b"mdat"])


def ispe(width, height):
    return full(b"ispe", 0, 0, struct.pack(">II", width, height))


def pixi(depth):
    return full(b"pixi", 0, 0, bytes([3, depth, depth, depth]))


def nclx(primaries, transfer, matrix, full_range):
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, full_range << 7))


def clap(width, height):
    """Keeps the middle."""
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, 0, 1, 0, 1))


def heif(items, references=(), primary=1):
    """A file of `items`, each (id, kind, data, [property boxes])."""
    properties, association = [], b""
    for number, _, _, own in items:
        association += struct.pack(">HB", number, len(own))
        for prop in own:
            if prop not in properties:
                properties.append(prop)
            essential = prop[4:8] in (b"av1C", b"clap", b"irot", b"imir")
            association += bytes([essential << 7 | (properties.index(prop) + 1)])
    entries = [full(b"infe", 2, 0, struct.pack(">HH4sB", n, 0, kind, 0)) for n, kind, _, _ in items]

    def meta(start):
        places, at = b"", start
        for number, _, data, _ in items:
            places += struct.pack(">HHHII", number, 0, 1, at, len(data))
            at += len(data)
        return full(
            b"meta", 0, 0,
            full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", 0, 0, struct.pack(">H", primary)),
            full(b"iloc", 0, 0, b"\x44\x00", struct.pack(">H", len(items)), places),
            full(b"iinf", 0, 0, struct.pack(">H", len(items)), *entries),
            full(b"iref", 0, 0, *references) if references else b"",
            box(b"iprp", box(b"ipco", *properties),
                full(b"ipma", 0, 0, struct.pack(">I", len(items)), association)),
        )

    ftyp = box(b"ftyp", b"avif", bytes(4), b"avif", b"mif1", b"miaf")
    start = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(start) + box(b"mdat", *[data for _, _, data, _ in items])


def reference(kind, source, *targets):
    return box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))


def write(name, data):
    with open(name, "wb") as out:
        out.write(data)


def avif(picture, depth=8, **colours):
    options = {"level": 90, "bitspersample": depth, "pixelformat": "444", **colours}
    return imagecodecs.avif_encode(picture, **options)


def heic(name, picture, orientation=1, **options):
    image = Image.fromarray(picture)
    # pillow_heif turns the orientation of the EXIF block into rotation and mirror boxes.
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    pillow_heif.from_pillow(image).save(name, quality=90, chroma=444, **options)


def main():
    picture = quarters()
    opaque = np.full((H, W, 1), 255, np.uint8)
    fading = opaque.copy()
    fading[:, W // 2:] = 64
    srgb = nclx(1, 13, 6, 1)

    # HEIC, by x265.
    exif = Image.Exif()
    exif[0x010F] = "MediaFlow"
    heic("quarters.heic", picture, exif=exif.tobytes(), xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    heic("alpha.heic", np.concatenate([picture, fading], axis=2))
    # pillow_heif turns the pixels itself, to the right again, and then has the file say "turn this
    # by 90 degrees anticlockwise": what is shown is the picture, turned so.
    heic("rotated.heic", np.ascontiguousarray(np.rot90(picture, -1)), orientation=8)
    deep = picture.astype("<u2") * 257
    pillow_heif.encode("RGB;16", (W, H), deep.tobytes(), "10bit.heic", quality=90, chroma=444)

    # AVIF, by libavif.
    write("quarters.avif", avif(picture))
    write("alpha.avif", avif(np.concatenate([picture, fading], axis=2)))
    ten = (picture.astype(np.uint32) * 1023 + 127) // 255
    av1c, data = coded(avif(ten.astype(np.uint16), 10, primaries=9, transfer=16, matrix=9))
    pq = nclx(9, 16, 9, 1)
    write("10bit-pq.avif", heif([(1, b"av01", data, [ispe(W, H), pixi(10), av1c, pq])]))
    twelve = (picture.astype(np.uint32) * 4095 + 127) // 255
    write("12bit.avif", avif(twelve.astype(np.uint16), 12))

    # Cropped to the middle half of its width, then turned by 90 degrees anticlockwise, then
    # mirrored so that top and bottom change places.
    av1c, data = coded(avif(picture))
    still = [ispe(W, H), pixi(8), av1c, srgb]
    turns = [clap(W // 2, H), box(b"irot", b"\x01"), box(b"imir", b"\x00")]
    write("cropped-turned-mirrored.avif", heif([(1, b"av01", data, still + turns)]))

    # A grid of 2 x 2 tiles, whose last column and row reach beyond the picture.
    tile_w, tile_h = 40, 32
    wide = np.pad(picture, ((0, 2 * tile_h - H), (0, 2 * tile_w - W), (0, 0)), "edge")
    tiles = [
        (2 + i, b"av01", data, [ispe(tile_w, tile_h), pixi(8), av1c, srgb])
        for i, (av1c, data) in enumerate(
            coded(avif(np.ascontiguousarray(wide[y:y + tile_h, x:x + tile_w])))
            for y in (0, tile_h) for x in (0, tile_w)
        )
    ]
    layout = struct.pack(">BBBBHH", 0, 0, 1, 1, W, H)
    grid = (1, b"grid", layout, [ispe(W, H), pixi(8), srgb])
    references = [reference(b"dimg", 1, 2, 3, 4, 5)]
    write("grid.avif", heif([grid, *tiles], references))
    # The same without its last tile's data.
    write("grid-truncated.avif", heif([grid, *tiles], references)[:-len(tiles[-1][2])])
    # A codec that the format knows and we do not link: VVC.
    vvc = box(b"vvcC", bytes(4), b"\xfe", bytes(12))
    write("vvc.heif", heif([(1, b"vvc1", data, [ispe(W, H), pixi(8), vvc])]))
    # Headers that promise 30000 x 30000 pixels.
    write("bomb.avif", heif([(1, b"av01", data, [ispe(30000, 30000), pixi(8), av1c, srgb])]))


main()
