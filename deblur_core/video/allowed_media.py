"""What FFmpeg may use for files that come from outside: which demuxers and decoders, and no other file or address.

FFmpeg opens playlists, concat scripts, sessions and pictures numbered on the disk as readily as videos, and each of its
several hundred decoders reads what strangers wrote. Here are those that archives need. It opens nothing itself.
"""

from __future__ import annotations

from deblur_core.errors import DeclinedVideoError
from deblur_core.video import limits


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


DEMUXERS = _names(
    # Containers
    "mov mp4 matroska webm mpegts mpeg avi flv asf mxf ogg dv ivf "
    # One stream of video without any; FFmpeg opens JPEG pictures that follow each other as jpeg_pipe
    "h264 hevc vvc obu m4v mpegvideo cavsvideo mjpeg jpeg_pipe"
)

VIDEO_DECODERS = _names(
    # What cameras, broadcasters and the web write
    "h264 hevc vvc av1 libdav1d vp8 vp9 libvpx libvpx-vp9 mpeg1video mpeg2video mpegvideo mpeg4 h263 h263i h263p vc1 "
    "wmv1 wmv2 wmv3 msmpeg4 msmpeg4v1 msmpeg4v2 flv vp3 vp4 vp5 vp6 vp6a vp6f vp7 theora cavs "
    # What studios and archives write
    "mjpeg mjpegb ljpeg jpeg2000 png dvvideo dnxhd prores cfhd dirac ffv1 ffvhuff huffyuv utvideo magicyuv lagarith "
    "rawvideo v210 v210x v308 v408 v410 y41p yuv4 r10k r210 avui hap qtrle "
    # What computers of the nineties write
    "svq1 svq3 cinepak rpza smc msvideo1 msrle 8bps indeo2 indeo3 indeo4 indeo5 flashsv flashsv2 fraps zlib "
    "mszh"
)

_OTHER_DECODERS = _names(
    # Sound is never decoded; FFmpeg opens its decoder to learn rate and channels of what is carried over.
    "aac aac_fixed aac_latm ac3 ac3_fixed eac3 dca truehd mlp mp1 mp1float mp2 mp2float mp3 mp3float mp3adu "
    "mp3adufloat mp3on4 mp3on4float als flac alac opus libopus vorbis wavpack tta speex amrnb amrwb libopencore_amrnb "
    "libopencore_amrwb qcelp evrc gsm gsm_ms g722 g723_1 g726 g726le ilbc wmav1 wmav2 wmapro wmavoice wmalossless "
    "nellymoser qdm2 qdmc mace3 mace6 dvaudio s302m dolby_e adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_swf adpcm_yamaha "
    "pcm_alaw pcm_mulaw pcm_bluray pcm_dvd pcm_f16le pcm_f24le pcm_f32be pcm_f32le pcm_f64be pcm_f64le pcm_s8 "
    "pcm_s8_planar pcm_s16be pcm_s16be_planar pcm_s16le pcm_s16le_planar pcm_s24be pcm_s24daud pcm_s24le "
    "pcm_s24le_planar pcm_s32be pcm_s32le pcm_s32le_planar pcm_s64be pcm_s64le pcm_u8 pcm_u16be pcm_u16le pcm_u24be "
    "pcm_u24le pcm_u32be pcm_u32le "
    # Subtitles and cover pictures, likewise
    "ass ssa srt subrip mov_text webvtt text ttml dvbsub dvdsub pgssub xsub cc_dec bmp gif"
)


def input_options() -> dict[str, str]:
    """FFmpeg's options for a file that is being opened: it ends with an error where the file is of another kind, and
    where anything in it asks for another file or address."""
    return {
        "protocol_whitelist": "none",
        "format_whitelist": ",".join(sorted(DEMUXERS)),
        **decoder_options(),
        "enable_drefs": "0",
        # Some demuxers leave the rest out without a word: one more than is allowed shows that there are too many.
        "max_streams": str(limits.LIMITS.streams + 1),
    }


def decoder_options() -> dict[str, str]:
    """FFmpeg's option for a decoder: it does not open if it is not on the list."""
    return {"codec_whitelist": ",".join(sorted(VIDEO_DECODERS | _OTHER_DECODERS))}


def check_decoder(decoder: str, name: str) -> None:
    """Raises DeclinedVideoError for a decoder of video (FFmpeg's name) that is not among those."""
    if decoder not in VIDEO_DECODERS:
        raise DeclinedVideoError(
            f"{name}: its pictures are coded as {decoder}, which is not supported; convert it first"
        )


# Marks of files that are no videos, whatever they are called.
_MARKS = (
    (0, b"#EXTM3U", "a playlist, which only names videos; put those into the archive"),
    (0, b"ffconcat version", "a list of files for FFmpeg, which only names videos; put those into the archive"),
    (0, b"[playlist]", "a playlist, which only names videos; put those into the archive"),
    (0, b"v=0", "the description of a network session, not a recording of it"),
    (0, b"[Script Info]", "a file of subtitles"),
    (0, b"WEBVTT", "a file of subtitles"),
    (0, b"\x89PNG", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
    (0, b"GIF8", "a picture"),
    (0, b"BM", "a picture"),
    (0, b"II*\x00", "a picture"),
    (0, b"MM\x00*", "a picture"),
    (8, b"WEBP", "a picture"),
    (8, b"WAVE", "a sound file"),
    (0, b"ID3", "a sound file"),
    (0, b"fLaC", "a sound file"),
    (0, b"OTTO", "a font"),
    (0, b"\x00\x01\x00\x00\x00", "a font"),
    (0, b"wOF", "a font"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it"),
)
_XML_MARKS = (
    (b"<MPD", "a playlist (DASH), which only names videos; put those into the archive"),
    (b"<svg", "a picture"),
)


def other_kind(head: bytes) -> str | None:
    """What a file is that FFmpeg would not open, from its first bytes (about 512); None if nobody can tell."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for at, mark, kind in _MARKS:
        if head[at:].startswith(mark) or (not at and text.startswith(mark)):
            return kind
    if text.startswith(b"<"):
        return next((kind for mark, kind in _XML_MARKS if mark in text), "a text in XML")
    return None
