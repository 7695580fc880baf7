"""What distillations of block outputs have in common: a sum over matched layers."""


class Distillation:
    """Base class: sums a distance over matched layers."""

    def distance(self, student, teacher):
        """Distance of one student layer from one teacher layer, a scalar."""
        raise NotImplementedError

    def __call__(self, student_blocks, teacher_blocks):
        """Sum of the distances of matched layers.

        Args:
            student_blocks: List of tensors `(batch, frames, channels)`.
            teacher_blocks: List of as many tensors of the same shapes.

        Returns:
            A scalar tensor.

        Raises:
            ValueError: If lists or shapes do not match.
        """
        if len(student_blocks) != len(teacher_blocks) or not student_blocks:
            raise ValueError(
                "Student and teacher should have the same positive number of matched blocks. "
                f"Received: {len(student_blocks)} and {len(teacher_blocks)}"
            )
        total = 0.0
        for student, teacher in zip(student_blocks, teacher_blocks):
            if tuple(student.shape[1:]) != tuple(teacher.shape[1:]):
                raise ValueError(
                    "Matched blocks should have the same shape. Received: "
                    f"{tuple(student.shape)} (student) and {tuple(teacher.shape)} (teacher)"
                )
            total = total + self.distance(student, teacher)
        return total

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
