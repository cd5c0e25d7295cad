#include "image/decode.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/jpeg.h"
#include "image/png.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Most headers lie within this; files with more in front (colour profiles, thumbnails) are read whole. */
enum { HEAD_BYTES = 16 << 10 };

msfl_image_format msfl_image_sniff(const uint8_t *bytes, size_t length) {
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (length >= sizeof png && memcmp(bytes, png, sizeof png) == 0) return MSFL_FORMAT_PNG;
    if (length >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff) return MSFL_FORMAT_JPEG;
    return MSFL_FORMAT_NONE;
}

bool msfl_image_has_picture_name(const char *name) {
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".jpe", ".jfif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++) {
        if (strcasecmp(dot, endings[i]) == 0) return true;
    }
    return false;
}

static msfl_status not_a_picture(const char *path, size_t length) {
    return msfl_fail(MSFL_ERR_FORMAT, length == 0 ? "%s: an empty file" : "%s: neither a PNG nor a JPEG file", path);
}

static msfl_status header_of(const char *path, const uint8_t *bytes, size_t length, uint64_t file_bytes,
                             msfl_image_header *out) {
    switch (msfl_image_sniff(bytes, length)) {
    case MSFL_FORMAT_PNG:
        return msfl_png_header(path, bytes, length, file_bytes, out);
    case MSFL_FORMAT_JPEG:
        return msfl_jpeg_header(path, bytes, length, file_bytes, out);
    default:
        return not_a_picture(path, length);
    }
}

/* The first bytes of a regular file, and how long it is. */
static msfl_status read_head(const char *path, uint8_t head[HEAD_BYTES], size_t *length, uint64_t *file_bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s", path);
    msfl_status status = MSFL_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "cannot examine %s", path);
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not a regular file", path);
        goto done;
    }
    *file_bytes = (uint64_t)info.st_size;
    size_t have = 0;
    while (have < HEAD_BYTES) {
        ssize_t n = read(fd, head + have, HEAD_BYTES - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            status = msfl_fail_errno(errno, "cannot read %s", path);
            goto done;
        }
        if (n == 0) break;
        have += (size_t)n;
    }
    *length = have;
done:
    close(fd);
    return status;
}

msfl_status msfl_image_probe(const char *path, msfl_image_header *out) {
    uint8_t head[HEAD_BYTES];
    size_t length = 0;
    uint64_t file_bytes = 0;
    msfl_status status = read_head(path, head, &length, &file_bytes);
    if (status != MSFL_OK) return status;
    status = header_of(path, head, length, file_bytes, out);
    if (status != MSFL_ERR_FORMAT || file_bytes <= length || msfl_image_sniff(head, length) == MSFL_FORMAT_NONE) {
        return status;
    }
    uint8_t *bytes;
    status = msfl_file_read(path, MSFL_IMAGE_FILE_BYTES_MAX, &bytes, &length);
    if (status == MSFL_OK) status = header_of(path, bytes, length, length, out);
    msfl_free(bytes);
    return status;
}

msfl_status msfl_image_read(const char *path, msfl_image *out) {
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(path, MSFL_IMAGE_FILE_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    switch (msfl_image_sniff(bytes, length)) {
    case MSFL_FORMAT_PNG:
        status = msfl_png_read(path, bytes, length, out);
        break;
    case MSFL_FORMAT_JPEG:
        status = msfl_jpeg_read(path, bytes, length, out);
        break;
    default:
        status = not_a_picture(path, length);
    }
    msfl_free(bytes);
    return status;
}
