/* What runs in the child for a survey. See survey.c for the other side. */
#ifndef MSFL_IMAGE_SURVEY_CHILD_H
#define MSFL_IMAGE_SURVEY_CHILD_H

#include <stddef.h>
#include <stdint.h>

#define MSFL_SURVEY_MAGIC 0x59565253u

typedef struct msfl_survey_answer {
    uint32_t magic, readable;
    uint64_t attributes;
    uint32_t n_private, n_overlays;
    uint32_t burned_in, recognisable, deidentified; /**< msfl_declared */
    uint32_t has_regions, is_capture, name_tells;
} msfl_survey_answer;

typedef struct msfl_survey_job {
    const uint8_t *bytes;
    size_t length;
    const char *file_name; /**< without folders */
} msfl_survey_job;

void msfl_survey_child(void *job, int out);

#endif
