#include "image/png.h"

#include "base/error.h"
#include "base/mem.h"

#include <png.h>
#include <stdio.h>
#include <string.h>

/* Everything that has to outlive a longjmp out of libpng, so none of it is a local of the function that calls setjmp.
 */
typedef struct work {
    const char *name;
    const uint8_t *at, *end;
    bool header_only;
    png_structp png;
    png_infop info;
    png_bytepp rows;
    msfl_image_header header;
    uint32_t channels_read; /* 1 to 4, as libpng hands them out */
    bool palette_is_grey;
    uint8_t *raw; /* pixels with alpha or from a palette, before they become `out` */
    msfl_image out;
    bool out_of_memory;
    msfl_status status;
    char message[160];
} work;

static void on_error(png_structp png, png_const_charp text) {
    work *w = png_get_error_ptr(png);
    snprintf(w->message, sizeof w->message, "%s", text);
    png_longjmp(png, 1);
}

/* Warnings concern optional chunks (text, time, profiles), which are not used. */
static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t size) {
    work *w = png_get_mem_ptr(png);
    void *memory = msfl_alloc(size, 1);
    if (memory == NULL) w->out_of_memory = true;
    return memory;
}

static void on_free(png_structp png, png_voidp memory) {
    (void)png;
    msfl_free(memory);
}

static void on_read(png_structp png, png_bytep out, png_size_t length) {
    work *w = png_get_io_ptr(png);
    if ((size_t)(w->end - w->at) < length) png_error(png, "the file ends too soon");
    memcpy(out, w->at, length);
    w->at += length;
}

static uint32_t load_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Size and depth straight from the bytes, before libpng allocates by them. */
static msfl_status check_header(const char *name, const uint8_t *bytes, size_t length, uint64_t file_bytes) {
    if (length < 33 || png_sig_cmp(bytes, 0, 8) != 0 || memcmp(bytes + 12, "IHDR", 4) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: not a whole PNG header", name);
    }
    uint64_t width = load_be32(bytes + 16), height = load_be32(bytes + 20);
    msfl_status status = msfl_image_check_size(name, width, height);
    if (status != MSFL_OK) return status;
    static const uint8_t channels[7] = {1, 0, 3, 1, 2, 0, 4};
    uint64_t bits = bytes[25] <= 6 ? (uint64_t)bytes[24] * channels[bytes[25]] : 0;
    uint64_t raw_bytes = height * ((width * bits + 7) / 8);
    /* Deflate never shrinks by more than 1032 to 1. */
    if (raw_bytes / 1032 > file_bytes) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: %llu bytes cannot hold the %llu x %llu pixels of the header", name,
                         (unsigned long long)file_bytes, (unsigned long long)width, (unsigned long long)height);
    }
    return MSFL_OK;
}

static bool palette_is_grey(const work *w) {
    png_colorp palette;
    int n = 0;
    if (png_get_PLTE(w->png, w->info, &palette, &n) == 0) return false;
    for (int i = 0; i < n; i++) {
        if (palette[i].red != palette[i].green || palette[i].red != palette[i].blue) return false;
    }
    return true;
}

static void read_header(work *w) {
    png_read_info(w->png, w->info);
    int type = png_get_color_type(w->png, w->info);
    w->palette_is_grey = type == PNG_COLOR_TYPE_PALETTE && palette_is_grey(w);
    w->header = (msfl_image_header){
        .width = png_get_image_width(w->png, w->info),
        .height = png_get_image_height(w->png, w->info),
        .channels = (type & PNG_COLOR_MASK_COLOR) != 0 && !w->palette_is_grey ? 3 : 1,
        .bits = png_get_bit_depth(w->png, w->info) == 16 ? 16 : 8,
        .format = MSFL_FORMAT_PNG,
    };
}

static void read_pixels(work *w) {
    int type = png_get_color_type(w->png, w->info);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(w->png);
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(w->png);
    if (png_get_valid(w->png, w->info, PNG_INFO_tRNS) != 0) png_set_tRNS_to_alpha(w->png);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (w->header.bits == 16) png_set_swap(w->png);
#endif
    png_set_interlace_handling(w->png);
    png_read_update_info(w->png, w->info);
    w->channels_read = png_get_channels(w->png, w->info);
    size_t row_bytes = png_get_rowbytes(w->png, w->info);
    const msfl_image_header *h = &w->header;
    if (row_bytes != (size_t)h->width * w->channels_read * (h->bits / 8)) png_error(w->png, "unexpected row length");

    uint8_t *to = NULL;
    if (msfl_image_new(h->width, h->height, h->channels, h->bits, &w->out) == MSFL_OK) to = w->out.samples;
    if (to != NULL && w->channels_read != h->channels) to = w->raw = msfl_alloc(h->height, row_bytes);
    if (to != NULL) w->rows = msfl_alloc(h->height, sizeof *w->rows);
    if (w->rows == NULL) {
        w->out_of_memory = true;
        png_error(w->png, "out of memory");
    }
    for (size_t y = 0; y < h->height; y++)
        w->rows[y] = to + y * row_bytes;
    png_read_image(w->png, w->rows);
    png_read_end(w->png, NULL);
}

/* The only function with a setjmp; it has no local that changes after it. */
static bool run(work *w) {
    if (setjmp(png_jmpbuf(w->png)) != 0) return false;
    /* Optional chunks are neither needed nor trusted. */
    png_set_keep_unknown_chunks(w->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_user_limits(w->png, MSFL_IMAGE_SIDE_MAX, MSFL_IMAGE_SIDE_MAX);
    png_set_chunk_cache_max(w->png, 128);
    png_set_chunk_malloc_max(w->png, 8 << 20);
    png_set_read_fn(w->png, w, on_read);
    read_header(w);
    if (!w->header_only) read_pixels(w);
    return true;
}

/* From what libpng handed out to grey or RGB: alpha onto black, and one channel of a grey palette. */
static void flatten(work *w) {
    size_t n = (size_t)w->header.width * w->header.height;
    uint32_t from = w->channels_read, to = w->header.channels;
    bool has_alpha = from == 2 || from == 4;
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < to; k++) {
            if (w->header.bits == 8) {
                const uint8_t *p = w->raw + i * from;
                uint32_t v = has_alpha ? ((uint32_t)p[k] * p[from - 1] + 127) / 255 : p[k];
                ((uint8_t *)w->out.samples)[i * to + k] = (uint8_t)v;
            } else {
                const uint16_t *p = (const uint16_t *)(const void *)w->raw + i * from;
                uint64_t v = has_alpha ? ((uint64_t)p[k] * p[from - 1] + 32767) / 65535 : p[k];
                ((uint16_t *)w->out.samples)[i * to + k] = (uint16_t)v;
            }
        }
    }
}

static msfl_status read_png(work *w, const uint8_t *bytes, size_t length, uint64_t file_bytes) {
    w->status = check_header(w->name, bytes, length, file_bytes);
    if (w->status != MSFL_OK) return w->status;
    w->at = bytes;
    w->end = bytes + length;
    w->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, w, on_error, on_warning, w, on_malloc, on_free);
    if (w->png != NULL) w->info = png_create_info_struct(w->png);
    if (w->info == NULL) {
        w->status = msfl_fail(MSFL_ERR_MEMORY, "%s: out of memory while reading PNG", w->name);
    } else if (!run(w)) {
        w->status = w->out_of_memory ? MSFL_ERR_MEMORY : msfl_fail(MSFL_ERR_FORMAT, "%s: %s", w->name, w->message);
    } else if (w->raw != NULL) {
        flatten(w);
    }
    png_destroy_read_struct(&w->png, &w->info, NULL);
    msfl_free(w->rows);
    msfl_free(w->raw);
    return w->status;
}

msfl_status msfl_png_header(const char *name, const uint8_t *bytes, size_t length, uint64_t file_bytes,
                            msfl_image_header *out) {
    work w = {.name = name, .header_only = true};
    msfl_status status = read_png(&w, bytes, length, file_bytes);
    if (status == MSFL_OK) *out = w.header;
    return status;
}

msfl_status msfl_png_read(const char *name, const uint8_t *bytes, size_t length, msfl_image *out) {
    work w = {.name = name};
    msfl_status status = read_png(&w, bytes, length, length);
    if (status != MSFL_OK) {
        msfl_image_clear(&w.out);
    } else {
        *out = w.out;
    }
    return status;
}
