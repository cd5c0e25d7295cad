/* Frames of pixel data as one sample after another, in the child. */
#include "image/dicom_child.h"

#include "image/dcmtk.h"
#include "image/j2k.h"
#include "image/rle.h"

#include <stdlib.h>
#include <string.h>

typedef struct frames {
    msfl_dcmtk *file;
    const msfl_dicom_answer *a;
    msfl_dicom_layout l;
    size_t pixels, samples; /* of one frame */
    uint8_t *samples_out;   /* one frame, as it is sent */
    const uint8_t *native;  /* all of the pixel data, if it is not encapsulated */
    uint8_t *packed;        /* one frame as a codec made it */
    uint32_t fragment;      /* next one */
    size_t n_fragments;
    bool is_rle;
} frames;

/* The value's bits out of a sample, extended by the sign. */
static uint32_t value_of(const msfl_dicom_layout *l, uint32_t raw) {
    uint32_t v = raw >> (l->high + 1 - l->stored);
    if (l->stored >= 32) return v;
    v &= (UINT32_C(1) << l->stored) - 1;
    if (l->is_signed && (v >> (l->stored - 1) & 1) != 0) v |= ~UINT32_C(0) << l->stored;
    return v;
}

static void put(frames *f, size_t at, uint32_t v) {
    if (f->a->bits == 8) {
        f->samples_out[at] = (uint8_t)v;
    } else if (f->a->bits == 16) {
        ((uint16_t *)(void *)f->samples_out)[at] = (uint16_t)v;
    } else {
        ((uint32_t *)(void *)f->samples_out)[at] = v;
    }
}

/* Sample `i` of `bytes`, of 1 to 32 bits, the first in the lowest ones (PS3.5 8.1.1). */
static uint32_t raw_sample(const uint8_t *bytes, uint32_t bits, uint64_t i) {
    switch (bits) {
    case 8:
        return bytes[i];
    case 16:
        return (uint32_t)bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;
    case 32:
        return (uint32_t)bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 | (uint32_t)bytes[4 * i + 2] << 16 |
               (uint32_t)bytes[4 * i + 3] << 24;
    default: {
        uint32_t v = 0;
        for (uint32_t k = 0; k < bits; k++) {
            uint64_t at = i * bits + k;
            v |= (uint32_t)(bytes[at / 8] >> (at % 8) & 1) << k;
        }
        return v;
    }
    }
}

/* `first`: number of the frame's first sample in `bytes`. Planes, if they are apart, come one after another. */
static void unpack(frames *f, const uint8_t *bytes, uint64_t first) {
    uint32_t channels = f->a->channels;
    for (size_t i = 0; i < f->samples; i++) {
        size_t at = f->l.planar && channels > 1 ? i % f->pixels * channels + i / f->pixels : i;
        put(f, at, value_of(&f->l, raw_sample(bytes, f->l.allocated, first + i)));
    }
}

/* Two pixels in four bytes: Y, Y, Cb, Cr (PS3.3 C.7.6.3.1.2). */
static void unpack_422(frames *f, const uint8_t *bytes) {
    for (size_t i = 0; i < f->pixels; i++) {
        const uint8_t *p = bytes + i / 2 * 4;
        f->samples_out[3 * i] = p[i % 2];
        f->samples_out[3 * i + 1] = p[2];
        f->samples_out[3 * i + 2] = p[3];
    }
}

static bool native_frame(frames *f, uint32_t frame) {
    if (f->l.tag != 0x7fe00010) {
        size_t bytes = f->samples * (f->a->bits / 8);
        memcpy(f->samples_out, f->native + frame * bytes, bytes);
    } else if (f->l.is_422) {
        unpack_422(f, f->native + frame * 2 * f->pixels);
    } else {
        unpack(f, f->native, (uint64_t)frame * f->samples);
    }
    return true;
}

static bool begins_codestream(const frames *f, const uint8_t *bytes, size_t length) {
    static const uint8_t soc[4] = {0xff, 0x4f, 0xff, 0x51}, jp2[8] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
    if (f->is_rle) return msfl_rle_begins(bytes, length);
    return (length >= 4 && memcmp(bytes, soc, 4) == 0) || (length >= 8 && memcmp(bytes, jp2, 8) == 0);
}

/* The codestream of the next frame: its fragments, laid together where there are several. A frame begins where a
 * codestream does, so the offset table, which is often empty or wrong, is not needed. */
static bool next_codestream(frames *f, const uint8_t **bytes, size_t *length, uint8_t **owned) {
    bool one_each = f->n_fragments == f->a->frames;
    size_t first = f->fragment, total = 0, end = first;
    for (; end < f->n_fragments; end++) {
        const uint8_t *part;
        size_t n;
        if (!msfl_dcmtk_fragment(f->file, end, &part, &n)) return false;
        if (end > first && (one_each || (f->a->frames > 1 && begins_codestream(f, part, n)))) break;
        total += n;
        *bytes = part;
        *length = n;
    }
    if (end == first) return false;
    f->fragment = (uint32_t)end;
    if (end == first + 1) return true;
    uint8_t *joined = *owned = malloc(total);
    if (joined == NULL) return false;
    *bytes = joined;
    *length = 0;
    for (size_t i = first; i < end; i++) {
        const uint8_t *part;
        size_t n;
        if (!msfl_dcmtk_fragment(f->file, i, &part, &n) || n > total - *length) return false;
        memcpy(joined + *length, part, n);
        *length += n;
    }
    return true;
}

static bool j2k_frame(frames *f) {
    const msfl_dicom_answer *a = f->a;
    const uint8_t *bytes = NULL;
    size_t length = 0;
    msfl_j2k picture;
    uint8_t *joined = NULL;
    bool good = next_codestream(f, &bytes, &length, &joined) &&
                msfl_j2k_decode(bytes, length, a->width, a->height, a->channels, &picture);
    free(joined);
    if (!good) return false;
    /* The header's sign counts, as everywhere; the value's bits are those of the codestream if it has more of them. */
    msfl_dicom_layout l = f->l;
    good = picture.bits <= l.allocated;
    if (picture.bits > l.stored) l.stored = picture.bits;
    l.high = l.stored - 1;
    for (size_t i = 0; i < f->samples && good; i++)
        put(f, i, value_of(&l, (uint32_t)picture.samples[i]));
    free(picture.samples);
    return good;
}

static bool rle_frame(frames *f) {
    const uint8_t *bytes = NULL;
    size_t length = 0;
    uint8_t *joined = NULL;
    uint32_t sample_bytes = f->l.allocated / 8;
    if (f->packed == NULL) f->packed = malloc(f->samples * sample_bytes + 1);
    bool good = f->packed != NULL && next_codestream(f, &bytes, &length, &joined) &&
                msfl_rle_decode(bytes, length, f->pixels, f->a->channels, sample_bytes, f->packed);
    free(joined);
    if (good) unpack(f, f->packed, 0);
    return good;
}

/* Whether a JPEG or JPEG-LS codestream has the size that the header says: the codecs do not look. The frame header is
 * the first segment SOF0 to SOF15, or SOF55 (T.81 B.2.2, T.87 C.2.2). */
static bool has_size(const msfl_dicom_answer *a, const uint8_t *p, size_t n) {
    for (size_t at = 2; at + 10 <= n;) {
        if (p[at] != 0xff) return false;
        uint8_t marker = p[at + 1];
        if (marker == 0xff) {
            at++;
            continue;
        }
        bool frame =
            (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) || marker == 0xf7;
        if (frame) {
            return (uint32_t)(p[at + 5] << 8 | p[at + 6]) == a->height &&
                   (uint32_t)(p[at + 7] << 8 | p[at + 8]) == a->width && p[at + 9] == a->channels;
        }
        at += 2 + (size_t)(p[at + 2] << 8 | p[at + 3]);
    }
    return false;
}

static bool codec_frame(frames *f, uint32_t frame) {
    const uint8_t *first;
    size_t length;
    /* DCMTK counts the offset table, and finds out itself where 0 begins. */
    size_t at = f->fragment == 0 ? 0 : f->fragment - 1;
    if (!msfl_dcmtk_fragment(f->file, at, &first, &length) || !has_size(f->a, first, length)) return false;
    size_t bytes = f->samples * (f->l.allocated / 8), even = bytes + bytes % 2;
    if (f->packed == NULL) f->packed = malloc(even + 1);
    if (f->packed == NULL) return false;
    memset(f->packed, 0, even);
    if (!msfl_dcmtk_frame(f->file, frame, &f->fragment, f->packed, even)) return false;
    unpack(f, f->packed, 0);
    return true;
}

void msfl_dicom_send_frames(msfl_dcmtk *file, const msfl_dicom_answer *a, int out) {
    frames f = {.file = file, .a = a, .pixels = (size_t)a->width * a->height};
    f.samples = f.pixels * a->channels;
    msfl_dicom_layout_of(file, &f.l);
    bool encapsulated = msfl_dcmtk_is_encapsulated(file) && f.l.tag == 0x7fe00010;
    bool codec = encapsulated && msfl_dcmtk_has_codec(file);
    f.is_rle = strcmp(a->facts.transfer_syntax, "1.2.840.10008.1.2.5") == 0;
    /* All decoders give one pixel after another. */
    if (encapsulated) f.l.planar = false;
    f.n_fragments = encapsulated ? msfl_dcmtk_fragments(file) : 0;
    /* One byte more: a size of 0, which cannot be, would say nothing. */
    f.samples_out = malloc(f.samples * (a->bits / 8) + 1);
    size_t length;
    if (f.samples_out == NULL) return;
    if (!encapsulated &&
        !msfl_dcmtk_native(file, f.l.tag, f.l.allocated <= 8 ? 1 : f.l.allocated / 8, &f.native, &length)) {
        free(f.samples_out);
        return;
    }
    uint32_t good = 1;
    for (uint32_t i = 0; i < a->frames && good == 1; i++) {
        good = !encapsulated ? native_frame(&f, i)
               : f.is_rle    ? rle_frame(&f)
               : codec       ? codec_frame(&f, i)
                             : j2k_frame(&f);
        msfl_child_write(out, &good, sizeof good);
        if (good == 1) {
            msfl_child_write(out, f.samples_out, f.samples * (a->bits / 8));
            continue;
        }
        msfl_dicom_excuse excuse = {0};
        (void)msfl_dicom_excuse_with(&excuse, MSFL_FAULT_DECODER_FAILED, "frame %u of %u cannot be decompressed (%s)",
                                     i + 1, a->frames, a->facts.transfer_syntax);
        msfl_child_write(out, &excuse, sizeof excuse);
    }
    free(f.samples_out);
    free(f.packed);
}
