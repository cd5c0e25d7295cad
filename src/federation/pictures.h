/* Example images with predictions for the report. */
#ifndef MSFL_FEDERATION_PICTURES_H
#define MSFL_FEDERATION_PICTURES_H

#include "federation/job.h"
#include "medsecurefl/report.h"

enum { FED_PICTURES = 12 };

typedef struct fed_pictures {
    msfl_report_picture list[FED_PICTURES];
    char names[FED_PICTURES][32], words[FED_PICTURES][32];
    uint8_t *pixels;
    uint32_t n;
} fed_pictures;

/** Test images of every class in turn, predicted by `weights`: beside each its Grad-CAM, where the network allows one;
 * or, where every pixel has a class, the true and the found mask. Free with fed_pictures_clear. */
msfl_status fed_pictures_choose(const fed_job *job, const float *weights, fed_pictures *out) MSFL_NODISCARD;
void fed_pictures_clear(fed_pictures *pictures);

#endif
