//! Films and HEIC, box by box and element by element.

/// A box of a film or of HEIC.
pub fn a_box(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).expect("a box that fits");
    [&length.to_be_bytes(), &name[..], body].concat()
}

/// The first box of a file of this brand.
pub fn ftyp(brand: &[u8; 4]) -> Vec<u8> {
    // What HEIC has to name beside itself.
    let beside = if brand == b"heic" { b"mif1" } else { brand };
    a_box(b"ftyp", &[&brand[..], &[0, 0, 2, 0], beside, brand].concat())
}

/// The table of contents of a film of 90.5 seconds at 1,920 by 1,080, a sound track first; `extra` is put into the
/// table of its pictures.
pub fn moov(turned: bool, extra: &[u8]) -> Vec<u8> {
    let number = |number: u32| number.to_be_bytes();
    let mvhd = [
        &number(0)[..],
        // 2026-11-22T05:03:11Z in the calendar of 1904.
        &number(3_878_168_591),
        &number(0),
        &number(600),
        &number(54_300),
        &[0; 80],
    ];
    let one = 0x0001_0000;
    let matrix = if turned {
        [0, one, 0, one, 0, 0, 0, 0, 1 << 30]
    } else {
        [one, 0, 0, 0, one, 0, 0, 0, 1 << 30]
    };
    let matrix: Vec<u8> = matrix.into_iter().flat_map(u32::to_be_bytes).collect();
    let tkhd = [&[0; 40][..], &matrix, &number(1_920 << 16), &number(1_080 << 16)].concat();
    let track = |kind: &[u8; 4], codec: &[u8; 4], extra: &[u8]| {
        let hdlr = a_box(b"hdlr", &[&[0; 8], &kind[..], &[0; 13]].concat());
        let entry = a_box(codec, &[0; 70]);
        let stsd = a_box(b"stsd", &[&number(0)[..], &number(1), &entry].concat());
        let stbl = a_box(b"stbl", &[&stsd, extra].concat());
        let minf = a_box(b"minf", &stbl);
        let mdia = a_box(b"mdia", &[hdlr, minf].concat());
        a_box(b"trak", &[a_box(b"tkhd", &tkhd), mdia].concat())
    };
    let sound = track(b"soun", b"mp4a", &[]);
    let pictures = track(b"vide", b"hvc1", extra);
    a_box(b"moov", &[a_box(b"mvhd", &mvhd.concat()), sound, pictures].concat())
}

/// An element of a `WebM` film whose length is told in eight bytes.
pub fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u64::try_from(body.len()).expect("an element that fits") | (1 << 56);
    [id, &length.to_be_bytes(), body].concat()
}

/// The beginning of a `WebM` film of 12.5 seconds at 1,280 by 720.
pub fn webm() -> Vec<u8> {
    let head = element(b"\x1a\x45\xdf\xa3", &element(b"\x42\x82", b"webm"));
    let scale = element(b"\x2a\xd7\xb1", &1_000_000_u32.to_be_bytes());
    let duration = element(b"\x44\x89", &12_500_f32.to_be_bytes());
    let info = element(b"\x15\x49\xa9\x66", &[scale, duration].concat());
    let video =
        [element(b"\xb0", &1_280_u16.to_be_bytes()), element(b"\xba", &720_u16.to_be_bytes())];
    let pictures =
        [element(b"\x83", &[1]), element(b"\x86", b"V_VP9"), element(b"\xe0", &video.concat())];
    let sound = element(b"\xae", &element(b"\x83", &[2]));
    let tracks = [sound, element(b"\xae", &pictures.concat())].concat();
    let tracks = element(b"\x16\x54\xae\x6b", &tracks);
    // The length of a segment that is being written is not known.
    let segment = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff";
    [&head[..], segment, &info, &tracks, &element(b"\x1f\x43\xb6\x75", &[0; 64])].concat()
}

/// A HEIC file whose only readable item is a block of EXIF.
pub fn heic(exif: &[u8]) -> Vec<u8> {
    let full = |name: &[u8; 4], version: u8, body: &[u8]| {
        a_box(name, &[&[version, 0, 0, 0], body].concat())
    };
    let ftyp = ftyp(b"heic");
    let infe = full(b"infe", 2, &[&[0, 1, 0, 0][..], b"Exif", &[0]].concat());
    let iinf = full(b"iinf", 0, &[&[0, 1][..], &infe].concat());
    let hdlr = full(b"hdlr", 0, &[&[0; 4], &b"pict"[..], &[0; 13]].concat());
    let item = [&6_u32.to_be_bytes()[..], b"Exif\0\0", exif].concat();
    let iloc = |offset: u32| {
        let length = u32::try_from(item.len()).expect("an item that fits");
        let place = [&[0, 1, 0, 0, 0, 1][..], &offset.to_be_bytes(), &length.to_be_bytes()];
        full(b"iloc", 0, &[&[0x44, 0x00, 0, 1][..], &place.concat()].concat())
    };
    let meta = |offset| full(b"meta", 0, &[&hdlr[..], &iinf, &iloc(offset)].concat());
    let offset = u32::try_from(ftyp.len() + meta(0).len() + 8).expect("a small file");
    [ftyp, meta(offset), a_box(b"mdat", &item)].concat()
}
