"""VOC average precision written as plainly as possible, one detection at a time, for comparison."""

from fractions import Fraction


def overlap(a, b, of_first=False):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    first = (a[2] - a[0]) * (a[3] - a[1])
    second = (b[2] - b[0]) * (b[3] - b[1])
    return shared / first if of_first else shared / (first + second - shared)


def slow_ap(detections, annotations, classes, name, threshold):
    """(11-point AP, area AP, truths, recall), or None for the first two and the last."""
    label = classes.index(name)
    truths = 0
    for entry in annotations:
        for own, difficult, crowd in zip(entry.labels, entry.difficult, entry.crowd, strict=True):
            truths += int(own == label and not difficult and not crowd)
    table = []
    for image, entry in enumerate(detections):
        for row in range(len(entry)):
            if entry.classes[entry.labels[row]] == name:
                table.append((-float(entry.scores[row]), image, row))
    taken = set()
    right = wrong = 0
    curve = []
    for _, image, row in sorted(table):
        box = [float(value) for value in detections[image].boxes[row]]
        entry = annotations[image]
        best, where = -1.0, None
        in_crowd = 0.0
        for index in range(len(entry)):
            if entry.labels[index] != label:
                continue
            truth = [float(value) for value in entry.boxes[index]]
            if entry.crowd[index]:
                in_crowd = max(in_crowd, overlap(box, truth, of_first=True))
            elif overlap(box, truth) > best:
                best, where = overlap(box, truth), index
        if best >= threshold and entry.difficult[where]:
            continue
        if best >= threshold and (image, where) not in taken:
            taken.add((image, where))
            right += 1
        elif in_crowd >= threshold:
            continue
        else:
            wrong += 1
        curve.append((right, Fraction(right, right + wrong)))
    if truths == 0:
        return None, None, 0, None
    eleven = Fraction(0)
    for step in range(11):
        reached = [p for found, p in curve if Fraction(found, truths) >= Fraction(step, 10)]
        eleven += max(reached, default=Fraction(0)) / 11
    area = Fraction(0)
    for found in range(1, truths + 1):
        reached = [p for count, p in curve if count >= found]
        area += max(reached, default=Fraction(0)) / truths
    return float(eleven), float(area), truths, right / truths
