//! Recipe files: the built-in one is sound, and every mistake is told with line, step and fix.

use mediaflow_core::Recipe;

const IMAGE: &str = include_str!("../../../../recipes/image.toml");

#[test]
fn the_built_in_recipe_is_sound() {
    let recipe = Recipe::parse(IMAGE).expect("the built-in recipe parses");
    let names: Vec<&str> = recipe.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "inspect",
            "moderate",
            "resize",
            "watermark",
            "compress",
            "placeholder",
            "distribute",
            "publish"
        ]
    );
}

#[test]
fn the_recipe_of_videos_is_sound_and_knows_what_belongs_to_it() {
    let text = include_str!("../../../../recipes/video.toml");
    Recipe::parse(text).expect("the built-in recipe parses");
    refused(
        &text.replace("kind = \"video\"", "kind = \"image\""),
        "`video.inspect` is for videos",
    );
    refused(
        &text.replace("needs = [\"poster\"]\njpeg", "needs = [\"plan\"]\njpeg"),
        "works on the poster",
    );
    refused(
        &text.replace(
            "operation = \"video.lead\"\nneeds = [\"plan\"]",
            "operation = \"video.lead\"\nneeds = [\"inspect\"]",
        ),
        "add that step to its `needs`",
    );
    refused(&text.replace("height = 720", "height = 100"), "higher than");
    let rung = |more: &str| text.replace("audio_kbps = 128", &format!("audio_kbps = 128, {more}"));
    refused(&rung("codec = \"theora\""), "unknown variant `theora`");
    refused(&rung("codec = \"av1\""), "before those of newer codecs");
    refused(&rung("frame_rate_max = 0"), "must be 1 to 240");
    let plan = |more: &str| text.replace("rungs = [", &format!("{more}\nrungs = ["));
    refused(&plan("channels_max = 3"), "must be 2 (surround");
    let also = "{ name = \"1080p-av1\", height = 1080, video_kbps = 3000, audio_kbps = 192, codec = \"av1\" },\n]";
    let ladder = plan("channels_max = 6\npass_through = false").replacen(
        "]\n\n# The first",
        &format!("{also}\n\n# The first"),
        1,
    );
    assert!(ladder.contains("av1"));
    Recipe::parse(&ladder).expect("parses");
    let download = |more: &str| {
        let step = format!("[[steps]]\nname = \"file\"\noperation = \"video.download\"\n{more}");
        text.replace("needs = [\"verify\",", "needs = [\"file\", \"verify\",") + &step
    };
    let after = "needs = [\"verify\"]\n";
    Recipe::parse(&download(&format!("{after}rung = \"720p\""))).expect("parses");
    refused(&download("needs = [\"plan\"]"), "`video.verify`");
    refused(&download(&format!("{after}rung = \"8k\"")), "no rung `8k`");
}

#[test]
fn the_recipe_of_sounds_is_sound_and_knows_what_belongs_to_it() {
    let text = include_str!("../../../../recipes/audio.toml");
    Recipe::parse(text).expect("the built-in recipe parses");
    let with = |from: &str, to: &str| text.replace(from, to);
    refused(
        &with("kind = \"audio\"", "kind = \"image\""),
        "`audio.inspect` is for sounds",
    );
    refused(
        &with("needs = [\"cover\"]\njpeg", "needs = [\"moderate\"]\njpeg"),
        "works on the cover",
    );
    refused(
        &text.replacen("needs = [\"plan\", \"loudness\"]", "needs = [\"plan\"]", 1),
        "by what `audio.loudness` measures",
    );
    refused(
        &with(
            "\"audio.cover\"\nneeds = [\"inspect\", ",
            "\"audio.cover\"\nneeds = [",
        ),
        "does what `audio.inspect` decides",
    );
    refused(&with("kbps = [64, 128", "kbps = [128, 64"), "each higher");
    refused(&with("channels = 2", "channels = 4"), "must be 2");
    refused(&with("target_lufs = -16", "target_lufs = 3"), "-40 to -5");
    refused(&with("\"opus\"", "\"webp\""), "takes mp3, opus and m4a");
}

#[test]
fn the_form_of_segments_is_the_plan_s_to_say() {
    let text = include_str!("../../../../recipes/video.toml");
    let plain = Recipe::parse(text).expect("the built-in recipe parses");
    let with = |line: &str| text.replace("rungs = [", &format!("{line}\nrungs = ["));
    let said = Recipe::parse(&with("segments = \"cmaf\"")).expect("the default may be said");
    assert_eq!(said.hash(), plain.hash());
    let other = Recipe::parse(&with("segments = \"ts\"")).expect("the other may, too");
    assert_ne!(other.hash(), plain.hash());
    refused(
        &with("segments = \"mp4\""),
        "step \"plan\": unknown variant `mp4`, expected `cmaf` or `ts`",
    );
    refused(
        &text.replace(
            "operation = \"video.lead\"",
            "operation = \"video.lead\"\nsegments = \"ts\"",
        ),
        "step \"lead\": `segments` belongs to video.plan; remove it here",
    );
    refused(
        &with("segments = \"ts\"").replacen("height = 360,", "height = 360, codec = \"hevc\",", 1),
        "know h264 only",
    );
    let download = "[[steps]]\nname = \"download\"\noperation = \"video.download\"\nneeds = [\"verify\"]\n\n[[steps]]\nname = \"distribute\"";
    let both = with("segments = \"ts\"")
        .replace("[[steps]]\nname = \"distribute\"", download)
        .replace(
            "needs = [\"verify\", ",
            "needs = [\"verify\", \"download\", ",
        );
    refused(&both, "step \"download\": `video.download` is made of CMAF");
}

#[test]
fn the_hash_ignores_how_it_is_written() {
    let plain = Recipe::parse(IMAGE).expect("parses");
    let commented = Recipe::parse(&format!("# another comment\n\n{IMAGE}")).expect("parses");
    assert_eq!(plain.hash(), commented.hash());
    let changed = Recipe::parse(&IMAGE.replace("width = 320", "width = 321")).expect("parses");
    assert_ne!(plain.hash(), changed.hash());
}

fn refused(text: &str, message: &str) {
    let error = Recipe::parse(text)
        .expect_err("must be refused")
        .to_string();
    assert!(
        error.contains(message),
        "{error:?} should contain {message:?}"
    );
}

#[test]
fn mistakes_are_told_with_line_step_and_fix() {
    refused(
        "name = \"x\"\nkind = \"image\"\nwhat = 1",
        "line 3: unknown field `what`",
    );
    refused(
        &IMAGE.replace("needs = [\"resize\"]\nwhen", "needs = [\"resiz\"]\nwhen"),
        "step \"watermark\": needs `resiz`, but there is no such step",
    );
    refused(
        &IMAGE.replace("\"image.inspect\"", "\"image.inspekt\""),
        "step \"inspect\": there is no operation `image.inspekt`",
    );
    refused(
        &IMAGE.replace("[\"distribute\"]", "[\"publish\"]"),
        "step \"publish\": its needs form a circle",
    );
    refused(
        &IMAGE.replace("quality = 62 }", "quality = 62, effort = 10 }"),
        "avif: `effort` is 10; it must be 0 to 9",
    );
    refused(
        &IMAGE.replace("jpeg_quality = 87", "jpeg_quality = 0"),
        "`jpeg_quality` must be 1 to 100",
    );
    refused(
        &IMAGE.replace("width = 320", "widht = 320"),
        "step \"resize\": unknown field `widht`",
    );
    refused(
        &IMAGE.replace("\"compress\", \"placeholder\"]", "\"compress\"]"),
        "step \"placeholder\": nothing leads from here to `publish`",
    );
    refused(
        &IMAGE.replace("operation = \"publish\"", "operation = \"distribute\""),
        "exactly one step with operation = \"publish\"",
    );
    refused(
        "name = \"Bad Name\"\nkind = \"image\"",
        "lower-case letters",
    );
    refused("name = \"x\"\nkind = \"image\"", "1 to 64 `[[steps]]`");
    refused(
        &IMAGE.replace("jpeg_quality = 87", "jpeg_quality = 300"),
        "step \"resize\": invalid value: integer `300`, expected a whole number from 0 to 255",
    );
    refused(
        &IMAGE.replace("kind = \"image\"\n", ""),
        "`kind` is missing; add `kind = \"image\"`",
    );
    refused(
        &IMAGE.replace("operation = \"moderate\"\n", ""),
        "step \"moderate\": `operation` is missing",
    );
    refused(
        "name = \"x\"\nkind = \"image\"\n[steps]\nname = \"a\"",
        "steps begin with `[[steps]]`, in double brackets",
    );
    refused(
        &IMAGE.replace(
            "when = \"watermark\"",
            "when = \"watermark\"\noptional = true",
        ),
        "`image.watermark` cannot be optional: without it nothing may be shown",
    );
    let twice = "[[steps]]\nname = \"again\"\noperation = \"image.compress\"\nneeds = [\"compress\"]\nformats = [{ format = \"webp\", quality = 50, effort = 2 }]\n";
    refused(
        &format!("{IMAGE}{twice}").replace("\"compress\", \"pl", "\"again\", \"pl"),
        "step \"again\": another step already adds `webp`",
    );
    let mark = "[[steps]]\nname = \"again\"\noperation = \"image.watermark\"\nneeds = [\"resize\"]\nwhen = \"watermark\"\n";
    refused(&format!("{IMAGE}{mark}"), "at most one `image.watermark`");
}
