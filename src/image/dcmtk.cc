#include "image/dcmtk.h"

#include "dcmtk/config/osconfig.h"

#include "dcmtk/dcmdata/dccodec.h"
#include "dcmtk/dcmdata/dcistrmb.h"
#include "dcmtk/dcmdata/dcpixel.h"
#include "dcmtk/dcmdata/dcpixseq.h"
#include "dcmtk/dcmdata/dcpxitem.h"
#include "dcmtk/dcmdata/dctk.h"
#include "dcmtk/dcmjpeg/djdecode.h"
#include "dcmtk/dcmjpls/djdecode.h"
#include "dcmtk/oflog/oflog.h"

#include <cmath>
#include <cstring>
#include <new>
#include <utility>

struct msfl_dcmtk {
    DcmInputBufferStream stream;
    DcmFileFormat file;
    E_TransferSyntax syntax = EXS_Unknown;
    char renamed[40] = ""; /* the file's own transfer syntax, where DCMTK was told another */
    uint8_t *copy = NULL;  /* what DCMTK was told then */
};

namespace {

DcmTagKey key_of(uint32_t tag) {
    return DcmTagKey(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag));
}

DcmItem *item_of(const msfl_dcmtk_item *item) {
    return reinterpret_cast<DcmItem *>(const_cast<msfl_dcmtk_item *>(item));
}

const msfl_dcmtk_item *handle_of(DcmItem *item) {
    return reinterpret_cast<const msfl_dcmtk_item *>(item);
}

DcmDataset *dataset_of(const msfl_dcmtk *file) {
    return const_cast<msfl_dcmtk *>(file)->file.getDataset();
}

DcmElement *element_of(DcmItem *item, uint32_t tag) {
    DcmElement *element = NULL;
    if (item == NULL || item->findAndGetElement(key_of(tag), element).bad()) return NULL;
    return element;
}

DcmPixelData *pixels_of(const msfl_dcmtk *file) {
    return dynamic_cast<DcmPixelData *>(element_of(dataset_of(file), 0x7fe00010));
}

DcmPixelSequence *sequence_of(const msfl_dcmtk *file) {
    DcmPixelData *pixels = pixels_of(file);
    DcmPixelSequence *sequence = NULL;
    if (pixels == NULL || pixels->getEncapsulatedRepresentation(file->syntax, NULL, sequence).bad()) return NULL;
    return sequence;
}

/* DCMTK 3.6.7 does not know high-throughput JPEG 2000 (PS3.5 A.4.11), whose fragments lie as those of JPEG 2000: in a
 * copy of the file its UID becomes that one. UIDs end with zeros, so the length stays. */
bool has_other_syntax(const uint8_t *bytes, size_t length, msfl_dcmtk *file) {
    static const char known[] = "1.2.840.10008.1.2.4.90\0";
    static const char *const others[] = {"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202",
                                         "1.2.840.10008.1.2.4.203"};
    enum { META_BYTES = 1024, UID_BYTES = 23 };
    static_assert(sizeof known == UID_BYTES + 1, "as long as the others");
    for (size_t at = 132; at + UID_BYTES <= length && at < META_BYTES; at++) {
        for (size_t i = 0; i < 3; i++) {
            if (std::memcmp(bytes + at, others[i], UID_BYTES) != 0) continue;
            file->copy = new uint8_t[length];
            std::memcpy(file->copy, bytes, length);
            std::memcpy(file->copy + at, known, UID_BYTES);
            std::memcpy(file->renamed, others[i], UID_BYTES + 1);
            return true;
        }
    }
    return false;
}

/* Whatever is thrown in here becomes `otherwise`. */
template <typename T, typename F> T guarded(T otherwise, F f) {
    try {
        return f();
    } catch (...) {
        return otherwise;
    }
}

} // namespace

bool msfl_dcmtk_start(void) {
    return guarded(false, [] {
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        /* Stored samples are asked for: no conversion of colours, and one pixel after another. */
        DJDecoderRegistration::registerCodecs(EDC_never, EUC_never, EPC_colorByPixel);
        DJLSDecoderRegistration::registerCodecs(EJLSUC_never, EJLSPC_colorByPixel);
        return dcmDataDict.isDictionaryLoaded() == OFTrue;
    });
}

/* Whether the pixel data was read to its end before something behind it failed: some archives pad files to whole
 * blocks. To be asked before transferEnd. */
static bool has_whole_pixels(const msfl_dcmtk *file) {
    const DcmElement *element = element_of(dataset_of(file), 0x7fe00010);
    return element != NULL && element->transferState() == ERW_ready;
}

static msfl_dcmtk_result parse(msfl_dcmtk *file, const uint8_t *bytes, size_t length) {
    if (has_other_syntax(bytes, length, file)) bytes = file->copy;
    file->stream.setBuffer(bytes, static_cast<offile_off_t>(length));
    file->stream.setEos();
    file->file.transferInit();
    OFCondition condition = file->file.read(file->stream, EXS_Unknown, EGL_noChange);
    const bool whole = condition.good() || (condition != EC_MemoryExhausted && has_whole_pixels(file));
    file->file.transferEnd();
    if (whole) {
        file->syntax = file->file.getDataset()->getOriginalXfer();
        return MSFL_DCMTK_OK;
    }
    if (condition == EC_MemoryExhausted) return MSFL_DCMTK_MEMORY;
    bool ended = condition == EC_StreamNotifyClient || condition == EC_EndOfStream || file->stream.avail() == 0;
    return ended ? MSFL_DCMTK_TRUNCATED : MSFL_DCMTK_DAMAGED;
}

msfl_dcmtk_result msfl_dcmtk_open(const uint8_t *bytes, size_t length, msfl_dcmtk **out) {
    msfl_dcmtk_result result = MSFL_DCMTK_DAMAGED;
    msfl_dcmtk *file = NULL;
    try {
        file = new msfl_dcmtk;
        result = parse(file, bytes, length);
    } catch (const std::bad_alloc &) {
        result = MSFL_DCMTK_MEMORY;
    } catch (...) {
        result = MSFL_DCMTK_DAMAGED;
    }
    if (result != MSFL_DCMTK_OK) {
        msfl_dcmtk_close(file);
        file = NULL;
    }
    *out = file;
    return result;
}

void msfl_dcmtk_close(msfl_dcmtk *file) {
    (void)guarded(false, [&] {
        if (file != NULL) delete[] file->copy;
        delete file;
        return true;
    });
}

const msfl_dcmtk_item *msfl_dcmtk_root(msfl_dcmtk *file) {
    return handle_of(file->file.getDataset());
}

const msfl_dcmtk_item *msfl_dcmtk_inner(const msfl_dcmtk_item *item, uint32_t tag, uint32_t index) {
    return guarded(static_cast<const msfl_dcmtk_item *>(NULL), [&]() -> const msfl_dcmtk_item * {
        DcmItem *inner = NULL;
        if (item == NULL ||
            item_of(item)->findAndGetSequenceItem(key_of(tag), inner, static_cast<signed long>(index)).bad()) {
            return NULL;
        }
        return handle_of(inner);
    });
}

bool msfl_dcmtk_u16(const msfl_dcmtk_item *item, uint32_t tag, uint32_t index, uint16_t *out) {
    return guarded(false, [&] {
        DcmElement *element = element_of(item_of(item), tag);
        Uint16 value = 0;
        Sint16 sign = 0;
        if (element == NULL) return false;
        if (element->getUint16(value, index).good()) {
            *out = value;
            return true;
        }
        if (element->getSint16(sign, index).bad()) return false;
        *out = static_cast<uint16_t>(sign);
        return true;
    });
}

bool msfl_dcmtk_i32(const msfl_dcmtk_item *item, uint32_t tag, int32_t *out) {
    return guarded(false, [&] {
        DcmElement *element = element_of(item_of(item), tag);
        Sint32 value = 0;
        if (element == NULL || element->getSint32(value, 0).bad()) return false;
        *out = value;
        return true;
    });
}

bool msfl_dcmtk_f64(const msfl_dcmtk_item *item, uint32_t tag, uint32_t index, double *out) {
    return guarded(false, [&] {
        DcmElement *element = element_of(item_of(item), tag);
        Float64 value = 0;
        if (element == NULL || element->getFloat64(value, index).bad() || !std::isfinite(value)) return false;
        *out = value;
        return true;
    });
}

void msfl_dcmtk_text(const msfl_dcmtk_item *item, uint32_t tag, char *text, size_t capacity) {
    text[0] = 0;
    (void)guarded(false, [&] {
        OFString value;
        DcmElement *element = element_of(item_of(item), tag);
        if (element == NULL || element->getOFString(value, 0).bad()) return false;
        size_t n = value.length() < capacity - 1 ? value.length() : capacity - 1;
        std::memcpy(text, value.c_str(), n);
        text[n] = 0;
        return true;
    });
}

bool msfl_dcmtk_words(const msfl_dcmtk_item *item, uint32_t tag, const uint16_t **words, size_t *n) {
    return guarded(false, [&] {
        DcmElement *element = element_of(item_of(item), tag);
        if (element == NULL) return false;
        Uint16 *values = NULL;
        Sint16 *signs = NULL;
        if (element->getUint16Array(values).good() && values != NULL) {
            *words = values;
        } else if (element->getSint16Array(signs).good() && signs != NULL) {
            *words = reinterpret_cast<const uint16_t *>(signs);
        } else {
            return false;
        }
        *n = element->getLength() / 2;
        return true;
    });
}

const char *msfl_dcmtk_transfer_syntax(const msfl_dcmtk *file) {
    if (file->renamed[0] != 0) return file->renamed;
    return guarded("", [&] {
        const char *uid = DcmXfer(file->syntax).getXferID();
        return uid == NULL ? "" : uid;
    });
}

bool msfl_dcmtk_is_big_endian(const msfl_dcmtk *file) {
    return guarded(false, [&] { return DcmXfer(file->syntax).getByteOrder() == EBO_BigEndian; });
}

bool msfl_dcmtk_is_encapsulated(const msfl_dcmtk *file) {
    return guarded(false, [&] { return DcmXfer(file->syntax).isEncapsulated() == OFTrue; });
}

bool msfl_dcmtk_has_codec(const msfl_dcmtk *file) {
    return guarded(false,
                   [&] { return DcmCodecList::canChangeCoding(file->syntax, EXS_LittleEndianExplicit) == OFTrue; });
}

bool msfl_dcmtk_has(const msfl_dcmtk_item *item, uint32_t tag) {
    return guarded(false, [&] { return element_of(item_of(item), tag) != NULL; });
}

bool msfl_dcmtk_filled(const msfl_dcmtk *file, uint32_t tag) {
    return guarded(false, [&] {
        DcmElement *element = NULL;
        DcmStack stack;
        if (dataset_of(file)->search(key_of(tag), stack, ESM_fromHere, OFTrue).bad()) return false;
        element = dynamic_cast<DcmElement *>(stack.top());
        return element != NULL && element->getLength() > 0;
    });
}

void msfl_dcmtk_count(const msfl_dcmtk *file, uint32_t *n_private, uint32_t *n_overlays) {
    *n_private = 0;
    *n_overlays = 0;
    (void)guarded(false, [&] {
        DcmStack stack;
        while (dataset_of(file)->nextObject(stack, OFTrue).good()) {
            const DcmObject *object = stack.top();
            if (object == NULL) continue;
            const Uint16 group = object->getGTag(), element = object->getETag();
            *n_private += group % 2 == 1;
            *n_overlays += (group & 0xff00) == 0x6000 && element == 0x3000;
        }
        return true;
    });
}

bool msfl_dcmtk_native(const msfl_dcmtk *file, uint32_t tag, uint32_t unit_bytes, const uint8_t **bytes,
                       size_t *length) {
    return guarded(false, [&] {
        DcmElement *element = element_of(dataset_of(file), tag);
        if (element == NULL) return false;
        Uint8 *octets = NULL;
        Uint16 *words = NULL;
        Float32 *floats = NULL;
        Float64 *doubles = NULL;
        /* Bytes of the units that DCMTK puts into this machine's order; asked before getUint8Array changes it. */
        const DcmEVR vr = element->getVR();
        const uint32_t swapped = vr == EVR_OB || vr == EVR_UN ? 1 : vr == EVR_OF ? 4 : vr == EVR_OD ? 8 : 2;
        if (element->getUint8Array(octets).good() && octets != NULL) {
            *bytes = octets;
        } else if (element->getUint16Array(words).good() && words != NULL) {
            *bytes = reinterpret_cast<const uint8_t *>(words);
        } else if (element->getFloat32Array(floats).good() && floats != NULL) {
            *bytes = reinterpret_cast<const uint8_t *>(floats);
        } else if (element->getFloat64Array(doubles).good() && doubles != NULL) {
            *bytes = reinterpret_cast<const uint8_t *>(doubles);
        } else {
            return false;
        }
        *length = element->getLength();
        /* Samples of four bytes in an element of words, say: DCMTK turned units of another size than the samples. */
        if (msfl_dcmtk_is_big_endian(file) && unit_bytes != swapped) {
            uint8_t *own = const_cast<uint8_t *>(*bytes);
            for (size_t at = 0; at + unit_bytes <= *length; at += unit_bytes) {
                for (uint32_t i = 0; swapped <= unit_bytes && i < unit_bytes / swapped / 2; i++) {
                    for (uint32_t k = 0; k < swapped; k++)
                        std::swap(own[at + i * swapped + k], own[at + unit_bytes - (i + 1) * swapped + k]);
                }
            }
        }
        return true;
    });
}

size_t msfl_dcmtk_fragments(const msfl_dcmtk *file) {
    return guarded(static_cast<size_t>(0), [&]() -> size_t {
        DcmPixelSequence *sequence = sequence_of(file);
        return sequence == NULL || sequence->card() < 2 ? 0 : sequence->card() - 1;
    });
}

bool msfl_dcmtk_fragment(const msfl_dcmtk *file, size_t index, const uint8_t **bytes, size_t *length) {
    return guarded(false, [&] {
        DcmPixelSequence *sequence = sequence_of(file);
        DcmPixelItem *fragment = NULL;
        Uint8 *octets = NULL;
        if (sequence == NULL || sequence->getItem(fragment, static_cast<unsigned long>(index + 1)).bad()) return false;
        *length = fragment->getLength();
        if (*length == 0 || fragment->getUint8Array(octets).bad() || octets == NULL) return false;
        *bytes = octets;
        return true;
    });
}

bool msfl_dcmtk_frame(const msfl_dcmtk *file, uint32_t frame, uint32_t *fragment, void *out, size_t length) {
    return guarded(false, [&] {
        DcmPixelData *pixels = pixels_of(file);
        OFString colours;
        Uint32 start = *fragment;
        if (pixels == NULL || length > 0xfffffffeu ||
            pixels
                ->getUncompressedFrame(dataset_of(file), frame, start, out, static_cast<Uint32>(length), colours, NULL)
                .bad()) {
            return false;
        }
        *fragment = start;
        return true;
    });
}
