/* layer: image */
/* What a DICOM child that was taken over could send: the input is the answer, through a real pipe. */
#include "image/dicom_child.h"
#include "image/picture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2];
    /* More than a pipe holds would need a second thread. */
    if (size < 1 || size > 60000 || pipe2(ends, O_CLOEXEC) != 0) return 0;
    bool header_only = (data[0] & 1) != 0;
    const uint8_t *bytes = data + 1;
    size_t n = size - 1;
    msfl_dicom_answer whole;
    /* Without the magic little is reached. */
    const uint32_t magic = MSFL_DICOM_MAGIC;
    if ((data[0] & 2) != 0 && n >= sizeof whole) {
        memcpy(&whole, bytes, sizeof whole);
        whole.magic = magic;
        if (write(ends[1], &whole, sizeof whole) != (ssize_t)sizeof whole) abort();
        bytes += sizeof whole;
        n -= sizeof whole;
    }
    if (n > 0 && write(ends[1], bytes, n) != (ssize_t)n) abort();
    close(ends[1]);
    msfl_child child = {.pid = -1, .fd = ends[0], .deadline_ns = UINT64_MAX, .seconds = 1};
    msfl_dicom dicom;
    msfl_image image = {0};
    msfl_status status = msfl_dicom_receive("fuzz", &child, size, header_only, &dicom, &image);
    if (status == MSFL_OK) {
        msfl_image_header h = {0};
        msfl_image_picture_shape(&image, &h);
        if (h.channels != 1 && h.channels != 3) abort();
        if (!header_only) {
            msfl_image picture = {0};
            if (msfl_image_picture(&image, image.depth - 1, &picture) != MSFL_OK) abort();
            if (picture.bits != h.bits || picture.channels != h.channels) abort();
            msfl_image_clear(&picture);
        }
        if (memchr(dicom.transfer_syntax, 0, sizeof dicom.transfer_syntax) == NULL) abort();
    } else if (image.samples != NULL) {
        abort();
    }
    msfl_image_clear(&image);
    msfl_child_end(&child);
    return 0;
}
