#include "image/j2k.h"

#include <openjpeg.h>
#include <stdlib.h>
#include <string.h>

typedef struct source {
    const uint8_t *bytes;
    size_t length, at;
} source;

static OPJ_SIZE_T on_read(void *to, OPJ_SIZE_T n, void *ctx) {
    source *s = ctx;
    size_t left = s->length - s->at;
    if (left == 0) return (OPJ_SIZE_T)-1;
    if (n > left) n = left;
    memcpy(to, s->bytes + s->at, n);
    s->at += n;
    return n;
}

static OPJ_OFF_T on_skip(OPJ_OFF_T n, void *ctx) {
    source *s = ctx;
    if (n < 0 || (uint64_t)n > s->length - s->at) return -1;
    s->at += (size_t)n;
    return n;
}

static OPJ_BOOL on_seek(OPJ_OFF_T to, void *ctx) {
    source *s = ctx;
    if (to < 0 || (uint64_t)to > s->length) return OPJ_FALSE;
    s->at = (size_t)to;
    return OPJ_TRUE;
}

static bool fits(const opj_image_t *image, uint32_t width, uint32_t height, uint32_t channels) {
    if (image->numcomps != channels || image->x1 - image->x0 != width || image->y1 - image->y0 != height) return false;
    for (uint32_t c = 0; c < channels; c++) {
        const opj_image_comp_t *p = &image->comps[c];
        if (p->dx == 0 || p->dy == 0 || p->dx > 4 || p->dy > 4 || p->prec < 1 || p->prec > 32 ||
            p->prec != image->comps[0].prec || p->sgnd != image->comps[0].sgnd) {
            return false;
        }
    }
    return true;
}

static bool interleave(const opj_image_t *image, msfl_j2k *out) {
    for (uint32_t c = 0; c < out->channels; c++) {
        const opj_image_comp_t *p = &image->comps[c];
        if (p->data == NULL || p->w == 0 || p->h == 0 || (uint64_t)p->w * p->dx < out->width ||
            (uint64_t)p->h * p->dy < out->height) {
            return false;
        }
        for (size_t y = 0; y < out->height; y++) {
            const OPJ_INT32 *row = p->data + y / p->dy * p->w;
            int32_t *to = out->samples + y * out->width * out->channels + c;
            for (size_t x = 0; x < out->width; x++)
                to[x * out->channels] = row[x / p->dx];
        }
    }
    return true;
}

bool msfl_j2k_decode(const uint8_t *bytes, size_t length, uint32_t width, uint32_t height, uint32_t channels,
                     msfl_j2k *out) {
    static const uint8_t jp2[12] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', '\r', '\n', 0x87, '\n'};
    bool wrapped = length >= sizeof jp2 && memcmp(bytes, jp2, sizeof jp2) == 0, done = false;
    source s = {bytes, length, 0};
    opj_image_t *image = NULL;
    opj_dparameters_t parameters;
    opj_stream_t *stream = opj_stream_create(1 << 16, OPJ_TRUE);
    opj_codec_t *codec = opj_create_decompress(wrapped ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    *out = (msfl_j2k){.width = width, .height = height, .channels = channels};
    if (stream == NULL || codec == NULL) goto done;
    opj_stream_set_read_function(stream, on_read);
    opj_stream_set_skip_function(stream, on_skip);
    opj_stream_set_seek_function(stream, on_seek);
    opj_stream_set_user_data(stream, &s, NULL);
    opj_stream_set_user_data_length(stream, length);
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(codec, &parameters)) goto done;
    /* A codestream that is cut short is an error, not a blurred picture. */
    (void)opj_decoder_set_strict_mode(codec, OPJ_TRUE);
    if (!opj_read_header(stream, codec, &image) || image == NULL || !fits(image, width, height, channels)) goto done;
    opj_codestream_info_v2_t *info = opj_get_cstr_info(codec);
    out->is_rgb = channels == 3 && info != NULL && info->m_default_tile_info.mct == 1;
    opj_destroy_cstr_info(&info);
    out->bits = image->comps[0].prec;
    out->is_signed = image->comps[0].sgnd != 0;
    if (!opj_decode(codec, stream, image) || !opj_end_decompress(codec, stream)) goto done;
    out->samples = malloc((size_t)width * height * channels * sizeof *out->samples);
    done = out->samples != NULL && image->numcomps == channels && interleave(image, out);
done:
    if (!done) {
        free(out->samples);
        out->samples = NULL;
    }
    opj_image_destroy(image);
    if (codec != NULL) opj_destroy_codec(codec);
    if (stream != NULL) opj_stream_destroy(stream);
    return done;
}
