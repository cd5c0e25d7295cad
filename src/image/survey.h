/* What in a file could name a person: which attributes are there, never what they say. */
#ifndef MSFL_IMAGE_SURVEY_H
#define MSFL_IMAGE_SURVEY_H

#include "image/image.h"

/** X(tag, name, kind): attributes that DICOM's Basic Application Level Confidentiality Profile removes or replaces
 *  (PS3.15, table E.1-1), those that occur in images. Kinds: who is shown, when and where, who took part, numbers of
 * the archive. At most 63. */
#define MSFL_SURVEY_LIST(X)                                                                                            \
    X(0x00100010, "PatientName", PERSON)                                                                               \
    X(0x00100020, "PatientID", PERSON)                                                                                 \
    X(0x00100030, "PatientBirthDate", PERSON)                                                                          \
    X(0x00100032, "PatientBirthTime", PERSON)                                                                          \
    X(0x00100040, "PatientSex", TRAIT)                                                                                 \
    X(0x00101000, "OtherPatientIDs", PERSON)                                                                           \
    X(0x00101001, "OtherPatientNames", PERSON)                                                                         \
    X(0x00101005, "PatientBirthName", PERSON)                                                                          \
    X(0x00101010, "PatientAge", TRAIT)                                                                                 \
    X(0x00101020, "PatientSize", TRAIT)                                                                                \
    X(0x00101030, "PatientWeight", TRAIT)                                                                              \
    X(0x00101040, "PatientAddress", PERSON)                                                                            \
    X(0x00101060, "PatientMotherBirthName", PERSON)                                                                    \
    X(0x00102154, "PatientTelephoneNumbers", PERSON)                                                                   \
    X(0x00102160, "EthnicGroup", TRAIT)                                                                                \
    X(0x00102180, "Occupation", TRAIT)                                                                                 \
    X(0x001021b0, "AdditionalPatientHistory", TRAIT)                                                                   \
    X(0x001021d0, "LastMenstrualDate", TRAIT)                                                                          \
    X(0x00104000, "PatientComments", TRAIT)                                                                            \
    X(0x00080018, "SOPInstanceUID", NUMBER)                                                                            \
    X(0x00080020, "StudyDate", TIME)                                                                                   \
    X(0x00080021, "SeriesDate", TIME)                                                                                  \
    X(0x00080022, "AcquisitionDate", TIME)                                                                             \
    X(0x00080023, "ContentDate", TIME)                                                                                 \
    X(0x00080030, "StudyTime", TIME)                                                                                   \
    X(0x00080050, "AccessionNumber", NUMBER)                                                                           \
    X(0x00080080, "InstitutionName", PLACE)                                                                            \
    X(0x00080081, "InstitutionAddress", PLACE)                                                                         \
    X(0x00080090, "ReferringPhysicianName", STAFF)                                                                     \
    X(0x00080094, "ReferringPhysicianTelephoneNumbers", STAFF)                                                         \
    X(0x00081010, "StationName", PLACE)                                                                                \
    X(0x00081030, "StudyDescription", TRAIT)                                                                           \
    X(0x0008103e, "SeriesDescription", TRAIT)                                                                          \
    X(0x00081040, "InstitutionalDepartmentName", PLACE)                                                                \
    X(0x00081048, "PhysiciansOfRecord", STAFF)                                                                         \
    X(0x00081050, "PerformingPhysicianName", STAFF)                                                                    \
    X(0x00081060, "NameOfPhysiciansReadingStudy", STAFF)                                                               \
    X(0x00081070, "OperatorsName", STAFF)                                                                              \
    X(0x00081080, "AdmittingDiagnosesDescription", TRAIT)                                                              \
    X(0x00181000, "DeviceSerialNumber", PLACE)                                                                         \
    X(0x00181030, "ProtocolName", TRAIT)                                                                               \
    X(0x0020000d, "StudyInstanceUID", NUMBER)                                                                          \
    X(0x0020000e, "SeriesInstanceUID", NUMBER)                                                                         \
    X(0x00200010, "StudyID", NUMBER)                                                                                   \
    X(0x00204000, "ImageComments", TRAIT)                                                                              \
    X(0x00321032, "RequestingPhysician", STAFF)                                                                        \
    X(0x00321060, "RequestedProcedureDescription", TRAIT)                                                              \
    X(0x00380010, "AdmissionID", NUMBER)                                                                               \
    X(0x00400006, "ScheduledPerformingPhysicianName", STAFF)                                                           \
    X(0x00400244, "PerformedProcedureStepStartDate", TIME)                                                             \
    X(0x00400253, "PerformedProcedureStepID", NUMBER)                                                                  \
    X(0x00401001, "RequestedProcedureID", NUMBER)                                                                      \
    X(0x0040a123, "PersonName", PERSON)

typedef enum msfl_survey_kind {
    MSFL_SURVEY_PERSON,
    MSFL_SURVEY_TRAIT,
    MSFL_SURVEY_TIME,
    MSFL_SURVEY_PLACE,
    MSFL_SURVEY_STAFF,
    MSFL_SURVEY_NUMBER
} msfl_survey_kind;

typedef struct msfl_survey_attribute {
    uint32_t tag;
    const char *name;
    msfl_survey_kind kind;
} msfl_survey_attribute;

/** The list as a table; `*n` entries. */
const msfl_survey_attribute *msfl_survey_attributes(size_t *n);
/** "person", "trait", "time", "place", "staff", "number". */
const char *msfl_survey_kind_name(msfl_survey_kind kind);

typedef enum msfl_declared { MSFL_DECLARED_NOT, MSFL_DECLARED_NO, MSFL_DECLARED_YES } msfl_declared;

/** Of one file. All but the format is about DICOM, except `has_text`. */
typedef struct msfl_survey {
    msfl_image_format format;
    uint64_t attributes;        /**< bit i: attribute i of the list has a value, at whatever depth */
    uint32_t n_private;         /**< private elements, at whatever depth */
    uint32_t n_overlays;        /**< overlay planes beside the pixels */
    msfl_declared burned_in;    /**< BurnedInAnnotation: whether the pixels show text that identifies */
    msfl_declared recognisable; /**< RecognizableVisualFeatures: a face, say */
    msfl_declared deidentified; /**< PatientIdentityRemoved */
    bool has_regions;           /**< ultrasound regions: what lies outside is mostly text */
    bool is_capture;            /**< of a kind that often shows text: ultrasound, secondary capture, screens */
    bool name_tells;            /**< the file's name holds the patient's identifier or a part of the name */
    bool has_text;              /**< PNG text or EXIF, JPEG comment or EXIF, NIfTI description or extension */
} msfl_survey;

/** Look at one file. DICOM is parsed in a child process. ERR_UNSUPPORTED for what is none of PNG, JPEG, DICOM, NIfTI.
 * On any error `out` is unchanged. */
msfl_status msfl_survey_file(const char *path, msfl_survey *out) MSFL_NODISCARD;

/** The parent's half for DICOM: an answer as a child writes it, which may be hostile. */
struct msfl_child;
msfl_status msfl_survey_receive(const char *name, struct msfl_child *child, msfl_survey *out) MSFL_NODISCARD;

#endif
