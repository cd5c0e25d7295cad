#include "image/jpeg.h"

#include "base/error.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

/* A progressive file repeats whole-picture scans; real encoders write about ten, an attacker writes thousands. */
enum { SCANS_MAX = 200 };

typedef struct work {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    const char *name;
    const uint8_t *bytes;
    size_t length;
    uint64_t file_bytes;
    bool header_only;
    msfl_image_header header;
    msfl_image out;
    msfl_status status;
    char message[JMSG_LENGTH_MAX];
} work;

_Noreturn static void give_up(work *w, msfl_status status) {
    w->status = status;
    longjmp(w->back, 1);
}

_Noreturn static void on_error(j_common_ptr info) {
    work *w = info->client_data;
    info->err->format_message(info, w->message);
    msfl_status status = info->err->msg_code == JERR_OUT_OF_MEMORY ? MSFL_ERR_MEMORY : MSFL_ERR_FORMAT;
    if (info->err->msg_code == JERR_BAD_PRECISION) status = MSFL_ERR_UNSUPPORTED;
    give_up(w, msfl_fail(status, "%s: %s", w->name, w->message));
}

/* libjpeg reports lost data as a warning and goes on with invented pixels. Such a picture must not train a network. The
 * warnings let through say nothing about the pixels. */
static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
        return;
    default:
        on_error(info);
    }
}

static boolean on_source_empty(j_decompress_ptr jpeg) {
    work *w = jpeg->client_data;
    give_up(w, msfl_fail(MSFL_ERR_FORMAT, "%s: the file ends too soon", w->name));
}

static void on_progress(j_common_ptr info) {
    work *w = info->client_data;
    if (w->jpeg.input_scan_number > SCANS_MAX) {
        give_up(w, msfl_fail(MSFL_ERR_LIMIT, "%s: more than %d scans", w->name, SCANS_MAX));
    }
}

static void read_header(work *w) {
    jpeg_read_header(&w->jpeg, TRUE);
    uint64_t width = w->jpeg.image_width, height = w->jpeg.image_height;
    msfl_status status = msfl_image_check_size(w->name, width, height);
    if (status != MSFL_OK) give_up(w, status);
    /* Huffman coding spends at least one bit on each 8 x 8 block. */
    if (width * height / (64 * 8) > w->file_bytes) {
        give_up(w,
                msfl_fail(MSFL_ERR_FORMAT, "%s: %llu bytes cannot hold the %llu x %llu pixels of the header", w->name,
                          (unsigned long long)w->file_bytes, (unsigned long long)width, (unsigned long long)height));
    }
    if (w->jpeg.arith_code) {
        give_up(w, msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: JPEG with arithmetic coding; save it with Huffman coding",
                             w->name));
    }
    J_COLOR_SPACE space = w->jpeg.jpeg_color_space;
    if (space != JCS_GRAYSCALE && space != JCS_YCbCr && space != JCS_RGB) {
        give_up(w, msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: JPEG that is neither grey nor RGB (CMYK?); convert it to RGB",
                             w->name));
    }
    w->header = (msfl_image_header){
        .width = (uint32_t)width,
        .height = (uint32_t)height,
        .channels = space == JCS_GRAYSCALE ? 1 : 3,
        .bits = 8,
        .format = MSFL_FORMAT_JPEG,
    };
}

static void read_pixels(work *w) {
    w->jpeg.out_color_space = w->header.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    w->jpeg.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&w->jpeg);
    if (w->jpeg.output_width != w->header.width || w->jpeg.output_height != w->header.height ||
        (uint32_t)w->jpeg.output_components != w->header.channels) {
        give_up(w, msfl_fail(MSFL_ERR_FORMAT, "%s: header and picture differ in size", w->name));
    }
    msfl_status status = msfl_image_new(w->header.width, w->header.height, w->header.channels, 8, &w->out);
    if (status != MSFL_OK) give_up(w, status);
    size_t row_bytes = (size_t)w->header.width * w->header.channels;
    while (w->jpeg.output_scanline < w->jpeg.output_height) {
        JSAMPROW row = (uint8_t *)w->out.samples + w->jpeg.output_scanline * row_bytes;
        jpeg_read_scanlines(&w->jpeg, &row, 1);
    }
    jpeg_finish_decompress(&w->jpeg);
}

/* The only function with a setjmp; it has no local that changes after it. */
static void run(work *w) {
    if (setjmp(w->back) != 0) return;
    jpeg_CreateDecompress(&w->jpeg, JPEG_LIB_VERSION, sizeof w->jpeg);
    w->jpeg.client_data = w;
    jpeg_mem_src(&w->jpeg, w->bytes, w->length);
    w->jpeg.src->fill_input_buffer = on_source_empty;
    w->jpeg.progress = &w->progress;
    read_header(w);
    if (!w->header_only) read_pixels(w);
}

static msfl_status read_jpeg(work *w) {
    if (w->length == 0) return msfl_fail(MSFL_ERR_FORMAT, "%s: an empty file", w->name);
    w->jpeg.err = jpeg_std_error(&w->errors);
    w->errors.error_exit = on_error;
    w->errors.emit_message = on_message;
    w->progress.progress_monitor = on_progress;
    w->jpeg.client_data = w;
    run(w);
    jpeg_destroy_decompress(&w->jpeg);
    return w->status;
}

msfl_status msfl_jpeg_header(const char *name, const uint8_t *bytes, size_t length, uint64_t file_bytes,
                             msfl_image_header *out) {
    work w = {.name = name, .bytes = bytes, .length = length, .file_bytes = file_bytes, .header_only = true};
    msfl_status status = read_jpeg(&w);
    if (status == MSFL_OK) *out = w.header;
    return status;
}

msfl_status msfl_jpeg_read(const char *name, const uint8_t *bytes, size_t length, msfl_image *out) {
    work w = {.name = name, .bytes = bytes, .length = length, .file_bytes = length};
    msfl_status status = read_jpeg(&w);
    if (status != MSFL_OK) {
        msfl_image_clear(&w.out);
    } else {
        *out = w.out;
    }
    return status;
}
