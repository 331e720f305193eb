# Read by the build of the embedded libheif (`CMAKE_TOOLCHAIN_FILE` in .cargo/config.toml).
#
# That build links every codec library that it happens to find. Named here is what it must not
# find: encoders, which we do not need (a second libaom would clash with the one that encodes
# AVIF), and decoders of formats that we refuse, which would only be one more thing to attack.
# HEVC is decoded by libde265, AV1 by dav1d; nothing else is linked.
foreach(package
    AOM RAV1E SvtEnc X264 X265 kvazaar UVG266 vvdec vvenc OpenH264 FFMPEG
    JPEG OpenJPEG OPENJPH libsharpyuv Brotli ZLIB WEBP Doxygen)
  set(CMAKE_DISABLE_FIND_PACKAGE_${package} TRUE)
endforeach()
