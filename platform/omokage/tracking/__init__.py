"""What a training or an evaluation leaves on record: MLflow runs and TensorBoard files."""
