"""Stands in for the driver of this name: answers as a healthy system would."""


def set_deployment_image(deployment_name, image, container_name=None):
    return {"name": deployment_name, "image": image}


def rollback_deployment(deployment_name):
    return {"name": deployment_name}
