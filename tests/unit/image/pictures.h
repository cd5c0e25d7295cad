/* Test pictures, written with the libraries themselves and not with this program's code. */
#ifndef TEST_PICTURES_H
#define TEST_PICTURES_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

typedef struct bytes {
    uint8_t *at;
    size_t n;
} bytes;

static inline uint32_t test_hash(uint32_t a, uint32_t b, uint32_t c) {
    uint32_t h = a * 2654435761u ^ b * 2246822519u ^ c * 3266489917u ^ 374761393u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return h;
}

static inline void append_png(png_structp png, png_bytep data, png_size_t n) {
    bytes *b = png_get_io_ptr(png);
    b->at = realloc(b->at, b->n + n);
    if (b->at == NULL) abort();
    memcpy(b->at + b->n, data, n);
    b->n += n;
}

/** `rows`: packed as the format wants it, 16-bit samples big-endian. */
static inline bytes write_png(uint32_t width, uint32_t height, int color_type, int depth, int interlace,
                              const png_color *palette, int n_palette, const uint8_t *alpha, int n_alpha,
                              const uint8_t *rows) {
    bytes out = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &out, append_png, NULL);
    png_set_IHDR(png, info, width, height, depth, color_type, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (palette != NULL) png_set_PLTE(png, info, palette, n_palette);
    if (alpha != NULL) png_set_tRNS(png, info, alpha, n_alpha, NULL);
    png_write_info(png, info);
    size_t row_bytes = png_get_rowbytes(png, info);
    png_bytep *pointers = malloc(height * sizeof *pointers);
    for (uint32_t y = 0; y < height; y++)
        pointers[y] = (png_bytep)(uintptr_t)rows + y * row_bytes;
    png_write_image(png, pointers);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    free(pointers);
    return out;
}

static inline bytes write_grey_png(uint32_t width, uint32_t height, const uint8_t *samples) {
    return write_png(width, height, PNG_COLOR_TYPE_GRAY, 8, PNG_INTERLACE_NONE, NULL, 0, NULL, 0, samples);
}

/** `channels` 1, 3 or 4 (CMYK). */
static inline bytes write_jpeg(uint32_t width, uint32_t height, int channels, int quality, bool progressive,
                               const uint8_t *samples) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    unsigned char *memory = NULL;
    unsigned long n = 0;
    jpeg_mem_dest(&jpeg, &memory, &n);
    jpeg.image_width = width;
    jpeg.image_height = height;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, quality, TRUE);
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)samples + (size_t)jpeg.next_scanline * width * (size_t)channels;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return (bytes){memory, n};
}

/** A smooth picture, as JPEG likes it. */
static inline uint8_t *smooth_samples(uint32_t width, uint32_t height, uint32_t channels) {
    uint8_t *p = malloc((size_t)width * height * channels);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            for (uint32_t k = 0; k < channels; k++)
                p[((size_t)y * width + x) * channels + k] = (uint8_t)(30 + 120 * x / width + 60 * y / height + 20 * k);
        }
    }
    return p;
}

static inline uint8_t *noisy_samples(uint32_t width, uint32_t height, uint32_t channels, uint32_t seed) {
    uint8_t *p = malloc((size_t)width * height * channels);
    for (size_t i = 0; i < (size_t)width * height * channels; i++)
        p[i] = (uint8_t)test_hash((uint32_t)i, seed, 7);
    return p;
}

static inline void put_file(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, n, f) != n || fclose(f) != 0) abort();
}

#endif
