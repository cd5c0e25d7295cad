/* layer: image
 *
 * What a survey's child that was taken over could send, through a real pipe. */
#include "base/child.h"
#include "image/survey.h"
#include "image/survey_child.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    int ends[2];
    if (length > 60000 || pipe2(ends, O_CLOEXEC) != 0) return 0;
    if (length > 0 && write(ends[1], bytes, length) != (ssize_t)length) abort();
    close(ends[1]);
    msfl_child child = {.pid = -1, .fd = ends[0], .deadline_ns = UINT64_MAX, .seconds = 1};
    msfl_survey s = {0};
    size_t n;
    (void)msfl_survey_attributes(&n);
    if (msfl_survey_receive("fuzz", &child, &s) == MSFL_OK) {
        if (s.format != MSFL_FORMAT_DICOM || s.attributes >> n != 0 || s.burned_in > MSFL_DECLARED_YES) abort();
    } else if (s.format != MSFL_FORMAT_NONE) {
        abort();
    }
    msfl_child_end(&child);
    return 0;
}
